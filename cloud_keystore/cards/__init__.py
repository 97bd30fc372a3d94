"""Use cases of cards: issue them, change them for administrators, renew them, end them."""
