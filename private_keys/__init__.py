"""Arithmetic of private keys: generating, importing, using. OpenSSL computes."""
