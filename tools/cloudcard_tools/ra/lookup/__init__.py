"""Windows accounts, looked up in an organisation's directory by LDAP."""
