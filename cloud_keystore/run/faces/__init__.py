"""The ports that speak HTTP: opened, with their TLS, and closed."""
