"""Rows of what people prove to the portal."""
