"""The databases that rows can be in: SQLite and PostgreSQL, their addresses, and how they fail."""
