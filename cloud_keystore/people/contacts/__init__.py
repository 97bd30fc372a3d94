"""How people are called elsewhere: Windows accounts; and what follows from another name."""
