"""Rows about sealing keys: which ones there are, and which processes have them."""
