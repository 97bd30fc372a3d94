"""`cloudcard trace import` and `export`: traces from other programs, and for other programs."""
