"""Tickets with which holders of cards have logged in at a session broker."""
