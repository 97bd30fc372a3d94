"""Steps of the schema for what organisations define, and who belongs to them."""
