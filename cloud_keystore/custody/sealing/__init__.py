"""Sealing at rest: envelopes, sealing keys, and their rotation."""
