"""Passcodes, management keys and secure messaging."""
