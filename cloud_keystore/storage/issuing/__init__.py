"""Rows of what is made before there are cards for it."""
