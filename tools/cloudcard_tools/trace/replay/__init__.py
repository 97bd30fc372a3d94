"""`cloudcard trace replay`: a trace told to a card once more."""
