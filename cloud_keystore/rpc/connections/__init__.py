"""Which connections there are, whose they are, and which have to end."""
