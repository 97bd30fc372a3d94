"""What staff and holders say of the service. Pure."""
