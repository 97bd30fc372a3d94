"""`cloudcard audit`: what auditors do with the journal."""

from cloudcard_tools.audit.command import audit

__all__ = ["audit"]
