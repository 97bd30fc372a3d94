"""Tables, migrations and repositories; `engine` alone chooses between SQLite and PostgreSQL."""
