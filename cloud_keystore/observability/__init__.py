"""What the keystore tells of itself: metrics and traces, with no identity in them."""
