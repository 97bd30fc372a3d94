"""A service that has cards certified, as the Care Identity Service does for its clients."""
