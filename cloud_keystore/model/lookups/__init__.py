"""Where Windows accounts are looked up by LDAP. Pure."""
