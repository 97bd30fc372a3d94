"""Use cases of operations: asking, claiming, deciding, cancelling, expiring."""
