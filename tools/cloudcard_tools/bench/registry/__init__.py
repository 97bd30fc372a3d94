"""What a registration authority of many people waits for."""
