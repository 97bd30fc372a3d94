"""`cloudcard trace replay`: sends the commands of a trace to a card again."""
