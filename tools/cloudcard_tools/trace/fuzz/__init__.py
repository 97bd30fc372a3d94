"""`cloudcard trace fuzz`: traces changed at random."""
