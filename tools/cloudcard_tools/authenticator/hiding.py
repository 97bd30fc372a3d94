"""What is typed at a terminal is not shown while a secret is typed."""

from __future__ import annotations

import sys


def hide() -> None:
    """Show nothing of what is typed from now on, if there is a terminal."""
    _echo(shows=False)


def show_again() -> None:
    """Show what is typed."""
    _echo(shows=True)


def _echo(*, shows: bool) -> None:
    if sys.platform == "win32" or not sys.stdin.isatty():
        return
    import termios  # missing on Windows

    kept = termios.tcgetattr(sys.stdin)
    flags = kept[3] | termios.ECHO if shows else kept[3] & ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSANOW, [*kept[:3], flags, *kept[4:]])
