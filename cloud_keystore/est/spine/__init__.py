"""A session broker is asked whose tickets are, in a process without keys."""
