"""The workstation's agent: puts a card into a virtual reader and brings its key requests home."""
