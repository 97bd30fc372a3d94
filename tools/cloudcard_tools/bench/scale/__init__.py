"""How many computers a demand takes, by simulation from measured costs."""
