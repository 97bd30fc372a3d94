"""The ways from a card to a reader of this computer: our own IFD handler, and vpcd."""
