"""The REST API of the registration authority: HTTP and JSON in front of the same use cases."""
