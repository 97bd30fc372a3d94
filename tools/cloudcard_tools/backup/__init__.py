"""`cloudcard backup` and `cloudcard restore`."""
