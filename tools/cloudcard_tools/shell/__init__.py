"""Completion for shells, manual pages, and the examples in the help."""
