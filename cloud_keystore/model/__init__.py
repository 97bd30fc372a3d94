"""Frozen values and state tables: people, cards, keys, operations. Pure."""
