"""Pages for people, and the authenticator among them: HTML, and calls that a device's key signs."""
