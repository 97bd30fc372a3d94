"""Steps of the schema for the registry: people, their roles, cards and certificates."""
