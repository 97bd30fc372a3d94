"""What directories say of people."""
