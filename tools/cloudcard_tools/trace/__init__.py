"""`cloudcard trace`: what a card was told, replayed and shown."""

from cloudcard_tools.trace.command import trace

__all__ = ["trace"]
