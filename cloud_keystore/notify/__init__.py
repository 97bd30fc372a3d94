"""Wakes callers that wait for a change, in this process and in others."""
