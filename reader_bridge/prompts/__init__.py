"""The ways to show an operation to its holder: a window, a notification, a terminal, a file."""
