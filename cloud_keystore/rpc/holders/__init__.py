"""Servicers for holders' devices, about the holders themselves."""
