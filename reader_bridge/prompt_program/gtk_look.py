"""How the GTK window looks: the desktop's own theme and colours, and sizes of ours."""

from __future__ import annotations

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")

from gi.repository import Gdk, Gio, Gtk  # noqa: E402 (after their versions)

DESKTOP = "org.gnome.desktop.interface"
SCHEME = "color-scheme"
DARK = "prefer-dark"

# No colours: the theme's are kept, so that dark and high-contrast themes stay what they are.
SIZES = b"""
.number { font-size: 400%; font-weight: bold; caret-color: transparent; }
.words { font-size: 110%; }
.lead { font-size: 110%; font-weight: bold; }
.check { font-family: monospace; font-size: 120%; font-weight: bold; }
.said { font-size: 120%; font-weight: bold; }
.left { font-weight: bold; }
.hint { font-size: 90%; }
"""


def follow_desktop() -> None:
    """Take the sizes, and the dark variant of the theme where the desktop prefers dark."""
    style = Gtk.CssProvider()
    style.load_from_data(SIZES)
    Gtk.StyleContext.add_provider_for_screen(
        Gdk.Screen.get_default(), style, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION
    )
    source = Gio.SettingsSchemaSource.get_default()
    schema = source.lookup(DESKTOP, True) if source else None
    if schema is None or not schema.has_key(SCHEME):
        return
    desktop = Gio.Settings.new(DESKTOP)

    def apply(*_: object) -> None:
        dark = desktop.get_string(SCHEME) == DARK
        Gtk.Settings.get_default().set_property("gtk-application-prefer-dark-theme", dark)

    desktop.connect(f"changed::{SCHEME}", apply)
    apply()


def label(
    kind: str,
    text: str = "",
    *,
    align: float | None = None,
    selectable: bool = False,
    wrap: int = 0,
) -> Gtk.Label:
    """A label in one of the sizes above; in the middle, but for values beside their names."""
    made = Gtk.Label(label=text, selectable=selectable)
    made.get_style_context().add_class(kind)
    if align is None:
        align = 0.0 if kind in ("value", "check", "hint") else 0.5
    made.set_xalign(align)
    if wrap:
        wrapped(made, wrap)
        made.set_justify(Gtk.Justification.CENTER)
    return made


def wrapped(made: Gtk.Label, chars: int) -> None:
    """Break a label after so many characters, within words if it has to be."""
    made.set_line_wrap(True)
    made.set_line_wrap_mode(2)  # Pango.WrapMode.WORD_CHAR
    made.set_max_width_chars(chars)
