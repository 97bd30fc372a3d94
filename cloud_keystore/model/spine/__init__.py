"""A session broker that looks to its clients like the Spine Security Broker."""
