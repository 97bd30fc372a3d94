"""Rows of what is over: refusals that still count, and what is removed."""
