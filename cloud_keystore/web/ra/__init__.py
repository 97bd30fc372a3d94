"""The pages of the registration authority, for operators who have logged in."""
