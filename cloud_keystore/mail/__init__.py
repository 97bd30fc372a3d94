"""E-mail to people: its texts, the outbox it comes from, and the way to a mail server."""
