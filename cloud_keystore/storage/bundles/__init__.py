"""Entries of the journal that have their places for good: 256 in a row, compressed."""
