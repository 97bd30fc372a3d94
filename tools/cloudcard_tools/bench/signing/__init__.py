"""How fast a keystore signs, beside OpenSSL on the same computer."""
