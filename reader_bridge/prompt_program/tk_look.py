"""How the Tk window looks on a desktop that is dark. Tk itself knows of no desktop."""

from __future__ import annotations

import os
import subprocess
import tkinter
from tkinter import ttk

THEME = "GTK_THEME"  # "Adwaita:dark" for all programs of somebody who has set it
ASK = ("gsettings", "get", "org.gnome.desktop.interface", "color-scheme")
DARK = "prefer-dark"
ASK_SECONDS = 1.0

GROUND, TEXT, BUTTON, PRESSED = "#2b2b2b", "#f5f5f5", "#454545", "#5c5c5c"


def follow_desktop(root: tkinter.Tk, style: ttk.Style) -> None:
    """Take dark colours where the desktop prefers them."""
    if not _prefers_dark():
        return
    style.theme_use("clam")  # the default one draws parts of a button in colours of its own
    root.configure(background=GROUND)
    style.configure(".", background=GROUND, foreground=TEXT)
    style.configure("TButton", background=BUTTON, focuscolor=TEXT)
    style.map("TButton", background=[("active", PRESSED), ("pressed", PRESSED)])


def _prefers_dark() -> bool:
    theme = os.environ.get(THEME, "").lower()
    if theme:
        return theme.endswith("dark")
    try:
        said = subprocess.run(  # noqa: S603 (fixed text)
            ASK, capture_output=True, text=True, timeout=ASK_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return False  # no such desktop
    return DARK in said.stdout
