"""How people are called elsewhere: Windows accounts."""
