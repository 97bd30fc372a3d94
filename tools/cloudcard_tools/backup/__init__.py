"""`cloudcard backup` and `cloudcard restore`."""

from cloudcard_tools.backup.command import backup, restore

__all__ = ["backup", "restore"]
