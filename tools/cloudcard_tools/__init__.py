"""The sub-commands of `cloudcard`, and what they share. Nothing imports this package."""
