"""Rows of what holders prove themselves by, besides passcodes."""
