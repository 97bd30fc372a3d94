"""Metrics and distributed traces of the keystore, which contain no identities."""
