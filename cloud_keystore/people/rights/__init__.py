"""What decides who may do what, beside roles that are granted."""
