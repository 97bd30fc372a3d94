"""ISO 7816 card operating system: no sockets, no threads, no clock, no randomness of its own."""
