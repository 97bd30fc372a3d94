"""SCIM 2.0 for directories (RFC 7643, RFC 7644): people and groups."""
