"""Evidence packs: entries with their proofs, for whoever checks them without the keystore."""
