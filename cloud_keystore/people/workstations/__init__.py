"""Use cases of workstations: what is wrong with them, as they say themselves."""
