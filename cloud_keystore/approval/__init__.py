"""What the holder's device shows and signs, and how its signature is checked. Pure."""
