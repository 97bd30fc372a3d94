"""What people before browsers wait for."""
