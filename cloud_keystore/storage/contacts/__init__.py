"""How people are reached: domains of e-mail addresses, Windows accounts, and who helps them."""
