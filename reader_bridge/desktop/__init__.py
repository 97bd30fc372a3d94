"""What the desktop tells of the person: somebody is there, has locked the screen, or leaves."""
