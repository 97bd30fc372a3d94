"""Rows that only a keystore with the root secret can have written."""
