"""Which rows a list shows, and in which order: those of people and of cards."""
