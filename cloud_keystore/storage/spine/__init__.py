"""Rows of tickets of a session broker, and of what it said of them."""
