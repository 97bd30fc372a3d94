"""Files and folders that are one user's alone: their rules, and how they are written."""
