"""Policies, and from where organisations have them."""
