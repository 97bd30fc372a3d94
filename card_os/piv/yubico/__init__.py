"""Further instructions of Yubico's tools, for cards whose profile has them."""
