"""Rows by which it is known who may do what."""
