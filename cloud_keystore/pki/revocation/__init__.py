"""Which certificates of cards are good, as lists (CRL) and answers (OCSP) tell it."""
