"""Use cases of operations: ask, claim, decide, cancel, expire."""
