"""`cloudcard trace fuzz`: replays traces that are changed at random."""
