"""`cloudcard trace`: what a card was told, replayed and shown."""
