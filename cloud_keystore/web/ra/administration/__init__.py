"""Pages for who may do what where, and by which rules."""
