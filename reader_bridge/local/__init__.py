"""A whole card on this computer, keys and all: for development and tests. Nobody is asked."""
