"""What each port offers: its use cases, who may ask for them, and the services that call them."""
