"""Private keys and passcodes, used here alone: sealing, padding, activation, key backends."""
