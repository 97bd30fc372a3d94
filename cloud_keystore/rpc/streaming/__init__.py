"""Calls over which many requests are under way."""
