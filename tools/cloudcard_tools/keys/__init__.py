"""`cloudcard keys`: the keys that seal the keystore's database."""
