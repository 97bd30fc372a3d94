"""What directories do by SCIM: people join, move and leave."""
