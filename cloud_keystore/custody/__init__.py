"""The only door to private keys and passcodes: sealing, padding, activation, key backends."""
