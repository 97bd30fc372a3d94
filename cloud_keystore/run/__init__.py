"""Runs a keystore: opens it, builds its services, serves them, does the upkeep."""
