"""`cloudcard bench`: measurements that anybody can repeat."""
