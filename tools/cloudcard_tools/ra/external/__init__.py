"""Authorities outside of the keystore: trusted, asked, and what comes from them."""
