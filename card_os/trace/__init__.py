"""APDU traces: what a card was told, as text, and its replay (docs/trace-format.md)."""
