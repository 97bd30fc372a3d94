"""Rings pages that are closed, by the push services of their browsers, which learn nothing."""
