"""`cloudcard bench`: measurements that anybody can repeat."""

from cloudcard_tools.bench.command import bench

__all__ = ["bench"]
