"""`cloudcard keys`: the keys that seal the keystore's database."""

from cloudcard_tools.keys.command import keys

__all__ = ["keys"]
