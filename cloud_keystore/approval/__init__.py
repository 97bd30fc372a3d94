"""What the holder is shown and signs, and how the signature is checked. Pure."""
