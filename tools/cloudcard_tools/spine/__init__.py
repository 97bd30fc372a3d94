"""An identity agent: a card in a reader logs in at a broker of sessions."""
