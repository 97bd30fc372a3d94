"""To which organisations people belong."""
