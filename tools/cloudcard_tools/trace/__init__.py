"""`cloudcard trace`: records, replays and shows what a card was told."""
