"""What a keystore that has grown costs, against a small one."""
