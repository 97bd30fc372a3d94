"""Cards that an authority outside of the keystore certifies."""
