"""The keystore's own authorities, and the certificates and signed objects that they issue."""
