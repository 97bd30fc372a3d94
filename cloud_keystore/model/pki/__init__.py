"""Values about certificates of cards, once they were issued. Pure."""
