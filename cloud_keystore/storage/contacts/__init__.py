"""How people are reached: the domains of their e-mail addresses."""
