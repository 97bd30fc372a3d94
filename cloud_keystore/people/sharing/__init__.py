"""Use cases of devices that several holders share, for the registration authority."""
