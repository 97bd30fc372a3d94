"""Tables, migrations and repositories; only `engine` knows that it is SQLite."""
