"""`cloudcard serve`: the keystore, with no configuration."""
