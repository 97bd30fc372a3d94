"""How operators log in: the passkeys of whoever visits, and log-in by them."""
