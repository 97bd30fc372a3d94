"""A broker of sessions that looks to its clients like the Spine Security Broker."""
