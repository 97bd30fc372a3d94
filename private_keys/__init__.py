"""Private keys as arithmetic: made, taken from elsewhere, used. Pure; randomness is an argument."""
