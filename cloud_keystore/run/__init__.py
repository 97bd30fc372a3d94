"""A keystore that runs: opened, wired, served, kept up."""
