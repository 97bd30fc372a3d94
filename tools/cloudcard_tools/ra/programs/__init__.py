"""Programs that call the REST API, and where they are told of what happens."""
