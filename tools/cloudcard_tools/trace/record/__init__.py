"""`cloudcard trace record`: a card in a reader, recorded."""
