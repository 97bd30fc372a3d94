"""What people are told by e-mail."""
