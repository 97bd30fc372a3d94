"""Keys at the keystore: the card's key requests become calls over gRPC."""
