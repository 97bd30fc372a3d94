"""Windows accounts, looked up in an organisation's directory by LDAP.

The protocol is spoken here: of the libraries, bonsai and python-ldap are built from source against
OpenLDAP's headers on each computer, and ldap3 has had no release since 2021.
"""
