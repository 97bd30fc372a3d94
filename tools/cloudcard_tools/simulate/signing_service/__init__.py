"""The service by which browser applications have prescriptions signed, as they see it."""
