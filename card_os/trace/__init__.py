"""APDU traces: what a card was told, as text, and the card told it again (docs/trace-format.md)."""
