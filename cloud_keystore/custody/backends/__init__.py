"""The backends, which make, use and destroy private keys: one module for each."""
