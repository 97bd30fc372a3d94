"""Rows of what directories say of people."""
