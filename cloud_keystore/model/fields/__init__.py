"""What people fill in: texts, e-mail addresses, names of hosts."""
