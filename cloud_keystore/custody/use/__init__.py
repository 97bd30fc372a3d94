"""Uses of private keys: an approval spent once, a use in an approved session; their ends."""
