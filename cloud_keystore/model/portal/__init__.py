"""What people prove to the portal: passwords, mailed codes, security questions. Pure."""
