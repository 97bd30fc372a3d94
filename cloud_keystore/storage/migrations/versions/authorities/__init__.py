"""The steps for authorities outside of the keystore, and what follows them."""
