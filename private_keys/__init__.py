"""Arithmetic of private keys: generating, importing, using. Pure; randomness is an argument."""
