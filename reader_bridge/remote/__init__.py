"""Keys at the keystore: what the card asks, as calls over gRPC."""
