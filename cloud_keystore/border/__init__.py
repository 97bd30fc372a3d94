"""The border between the processes that face the network and custody, which trusts none of them."""
