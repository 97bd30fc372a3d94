"""Policies that organisations inherit."""
