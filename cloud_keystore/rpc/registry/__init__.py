"""Servicers for operators of the registration authority, about what the keystore itself has."""
