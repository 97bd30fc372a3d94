"""EST (RFC 7030): authorities outside of the keystore are asked, in a process without keys."""
