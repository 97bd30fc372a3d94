"""The journal: what happened, kept as evidence that cannot be altered unnoticed."""
