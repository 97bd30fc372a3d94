"""From where organisations have the terms of their policies."""
