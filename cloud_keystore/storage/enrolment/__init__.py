"""Rows by which identities are enrolled, and get their next certificates."""
