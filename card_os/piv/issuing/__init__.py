"""What an issuer writes to a card: data objects, public keys, card verifiable certificates."""
