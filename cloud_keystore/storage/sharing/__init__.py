"""Rows of who is signed in to a device that several holders share."""
