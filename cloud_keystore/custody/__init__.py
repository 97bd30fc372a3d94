"""The only package that uses private keys and passcodes: sealing, activation, key backends."""
