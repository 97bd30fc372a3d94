"""`cloudcard trace show`: traces in words."""
