"""Simulators of the services that a card is used with, for developers without a network."""
