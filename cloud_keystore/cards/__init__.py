"""Use cases of cards: issued, changed by administrators, renewed, ended."""
