"""Devices that several holders share, and who is signed in to them."""
