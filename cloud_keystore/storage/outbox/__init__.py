"""Rows of what people are told by e-mail."""
