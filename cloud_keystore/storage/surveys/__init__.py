"""Rows of what staff and holders say of the service."""
