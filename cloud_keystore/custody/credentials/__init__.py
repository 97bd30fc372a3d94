"""Secrets that people and programs show: passcodes, management keys; secure messaging."""
