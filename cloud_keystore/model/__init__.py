"""Frozen values and state tables of people, cards, keys and operations. Pure."""
