"""`cloudcard authenticator`: a software phone in a terminal."""
