"""`cloudcard ra`: the registration authority's command line."""

from cloudcard_tools.ra.command import ra

__all__ = ["ra"]
