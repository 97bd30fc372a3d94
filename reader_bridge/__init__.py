"""The workstation's agent: puts cards into a virtual reader and performs their key requests."""
