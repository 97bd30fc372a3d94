"""The cloud keystore: it keeps the private keys and uses one only after a verified approval."""
