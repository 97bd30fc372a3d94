"""A one-time token becomes an identity on this computer."""
