"""Use cases of programs that call the REST API, beside those that they share with operators."""
