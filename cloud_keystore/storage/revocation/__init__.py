"""Rows of the certificates of cards and of the lists of those that are revoked."""
