"""Uses of private keys, under an approval that is spent once or in an approved session."""
