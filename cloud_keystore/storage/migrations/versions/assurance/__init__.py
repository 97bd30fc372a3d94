"""The steps for authorities outside of the keystore, and for what proves who somebody is."""
