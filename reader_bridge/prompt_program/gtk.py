"""The prompt as a GTK 3 window, which screen readers read.

The window takes no focus when it comes, so that it gets nothing that somebody types elsewhere, and
no key of it approves anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gi

gi.require_version("Atk", "1.0")
gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_foreign("cairo")

from gi.repository import Atk, Gdk, GdkPixbuf, GLib, Gtk  # noqa: E402 (after their versions)

from reader_bridge.prompt_program import gtk_look, pictures, texts  # noqa: E402
from reader_bridge.prompt_program.starting import Cancel, Unusable  # noqa: E402
from reader_bridge.prompt_program.waiting import View, Waiting  # noqa: E402

TICK_MS = 250
QR_ROOM, SMALL_QR_ROOM = 190, 150  # pixels at 100 %
MARGIN, GAP = 18, 12
SMALL_HEIGHT = 500  # of a screen, or of a larger one at 200 %
LINE_CHARS = 34  # after which a value is wrapped
ESCAPE = Gdk.KEY_Escape


def new(waiting: Waiting, cancel: Cancel) -> Window:
    """The window, not yet shown. Raises Unusable without a screen."""
    found, _ = Gtk.init_check([])
    if not found or Gdk.Display.get_default() is None:
        raise Unusable("there is no screen")
    return Window(waiting, cancel)


class Window:
    """One window for all that waits."""

    def __init__(self, waiting: Waiting, cancel: Cancel) -> None:
        self._waiting = waiting
        self._cancel = cancel
        self._drawn: View | None = None
        self._asking = False  # whether to withdraw, after Escape
        gtk_look.follow_desktop()
        monitor = Gdk.Display.get_default().get_monitor(0)
        self._small = monitor is not None and monitor.get_workarea().height < SMALL_HEIGHT
        self._room = SMALL_QR_ROOM if self._small else QR_ROOM
        self._build()
        GLib.timeout_add(TICK_MS, self._tick)

    def run(self) -> None:
        """Show things until `stop`."""
        Gtk.main()

    def stop(self) -> None:
        """Close the window and let `run` return."""
        Gtk.main_quit()

    def post(self, call: Callable[[], None]) -> None:
        """Have something called on GTK's thread."""

        def once() -> bool:
            call()
            return bool(GLib.SOURCE_REMOVE)

        GLib.idle_add(once)

    def refresh(self) -> None:
        """Show what waits, or hide the window."""
        view = self._waiting.view(time.monotonic())
        if view is None:
            self._drawn = None
            self._asking = False
            self._window.hide()
            return
        before, self._drawn = self._drawn, view
        if before is None or before.operation != view.operation or before.said != view.said:
            self._asking = False
            self._draw(view)
        elif before.qr_label != view.qr_label:
            self._draw_code(view)
        self._draw_time(view)
        self._draw_buttons(view)
        if not self._window.get_visible():
            self._window.resize(1, 1)  # as small as what it holds
            self._window.show()

    def _tick(self) -> bool:
        if self._drawn is not None:
            self.refresh()
        return bool(GLib.SOURCE_CONTINUE)

    def _build(self) -> None:
        window = self._window = Gtk.Window(title=texts.TITLE, resizable=False)
        window.set_position(Gtk.WindowPosition.CENTER)
        window.set_type_hint(Gdk.WindowTypeHint.DIALOG)
        window.set_icon_name("dialog-password")
        window.set_keep_above(True)
        window.set_focus_on_map(False)
        window.set_urgency_hint(True)
        window.stick()
        window.connect("delete-event", self._on_close)
        window.connect("key-press-event", self._on_key)
        window.get_accessible().set_role(Atk.Role.ALERT)
        outer = _box(Gtk.Orientation.VERTICAL, GAP, margin=GAP if self._small else MARGIN)
        window.add(outer)
        self._said = gtk_look.label("said", wrap=LINE_CHARS)
        top = _box(Gtk.Orientation.HORIZONTAL, 2 * GAP)
        top.set_halign(Gtk.Align.CENTER)
        self._number_side = _box(Gtk.Orientation.VERTICAL, 0)
        self._number_side.set_valign(Gtk.Align.CENTER)
        self._number = gtk_look.label("number", selectable=True)
        self._words = gtk_look.label("words")
        for each in (gtk_look.label("lead", texts.NUMBER), self._number, self._words):
            self._number_side.pack_start(each, False, False, 0)
        self._code_side = _box(Gtk.Orientation.VERTICAL, GAP // 2)
        self._code_side.set_valign(Gtk.Align.CENTER)
        self._code_label = gtk_look.label("lead", wrap=22)
        self._code = Gtk.Image()
        for each in (self._code_label, self._code):
            self._code_side.pack_start(each, False, False, 0)
        top.pack_start(self._number_side, False, False, 0)
        top.pack_start(self._code_side, False, False, 0)
        self._grid = Gtk.Grid(column_spacing=GAP, row_spacing=4)
        self._grid.set_halign(Gtk.Align.CENTER)
        self._left = gtk_look.label("left")
        self._bar = Gtk.ProgressBar(valign=Gtk.Align.CENTER)
        self._bar.get_accessible().set_name(texts.LEFT.format(time="").strip())
        for each in (self._said, top, self._grid, self._bar, self._button_row()):
            outer.pack_start(each, False, False, 0)
        self._top = top
        outer.show_all()

    def _button_row(self) -> Gtk.Box:
        row = _box(Gtk.Orientation.HORIZONTAL, GAP // 2)
        self._position = gtk_look.label("position")
        self._previous = _button(texts.PREVIOUS, lambda: self._turn(-1))
        self._next = _button(texts.NEXT, lambda: self._turn(1))
        self._main = _button(texts.CANCEL, self._on_main)
        self._keep = _button(texts.KEEP, self._keep_waiting)
        row.pack_start(self._left, False, False, 0)
        row.set_center_widget(self._turning())
        for each in (self._main, self._keep):
            row.pack_end(each, False, False, 0)
        return row

    def _turning(self) -> Gtk.Box:
        row = _box(Gtk.Orientation.HORIZONTAL, GAP // 2)
        for each in (self._previous, self._position, self._next):
            row.pack_start(each, False, False, 0)
        return row

    def _draw(self, view: View) -> None:
        self._number_side.set_visible(bool(view.number))
        self._number.set_text(view.number)
        self._number.get_accessible().set_name(texts.number_name(view.number))
        self._words.set_text(texts.number_spelt(view.number))
        self._draw_code(view)
        for each in self._grid.get_children():
            each.destroy()
        for place, (name, value) in enumerate(view.facts):
            title = gtk_look.label("name", name, align=1.0)
            title.set_valign(Gtk.Align.START)
            shown = gtk_look.label("check" if value is view.check_code else "value", value)
            gtk_look.wrapped(shown, LINE_CHARS)
            self._grid.attach(title, 0, place, 1, 1)
            self._grid.attach(shown, 1, place, 1, 1)
            spoken = value
            if value is view.check_code:
                spoken = ", ".join(map(texts.digit_by_digit, value.split()))
                shown.get_accessible().set_description(texts.CHECK_CODE_HINT)
                if not self._small:
                    hint = gtk_look.label("hint", texts.CHECK_CODE_HINT)
                    self._grid.attach(hint, 1, place + 1, 1, 1)
            shown.get_accessible().set_name(f"{name}: {spoken}")
        self._grid.show_all()
        # The cursor is on the number: no key that was meant for another window presses a button.
        (self._number if view.number else self._window).grab_focus()
        self._number.select_region(0, 0)

    def _draw_code(self, view: View) -> None:
        self._code_side.set_visible(bool(view.qr_label))
        self._code_label.set_text(view.qr_label)
        self._code.set_visible(bool(view.qr_modules))
        if view.qr_modules:
            factor = self._window.get_scale_factor()
            scale = pictures.module_pixels(len(view.qr_modules), self._room) * factor
            side, pixels = pictures.rgb(view.qr_modules, scale)
            picture = GdkPixbuf.Pixbuf.new_from_bytes(
                GLib.Bytes.new(pixels), GdkPixbuf.Colorspace.RGB, False, 8, side, side, side * 3
            )
            surface = Gdk.cairo_surface_create_from_pixbuf(picture, factor, None)
            self._code.set_from_surface(surface)
            self._code.get_accessible().set_name(texts.QR_NAME)

    def _draw_time(self, view: View) -> None:
        self._left.set_visible(not view.said)
        self._bar.set_visible(not view.said and not self._small)
        self._top.set_visible(not view.said)
        self._grid.set_visible(not (self._small and self._asking))
        self._said.set_visible(bool(view.said or self._asking))
        said = view.said or (f"{texts.SURE} {texts.SURE_HINT}" if self._asking else "")
        if self._said.get_text() != said:
            self._said.set_text(said)
        shown = texts.clock(view.left)
        if self._left.get_text() != shown:
            self._left.set_text(shown)
            self._left.get_accessible().set_name(texts.clock_in_words(view.left))
        self._bar.set_fraction(view.left / view.whole if view.whole else 0.0)

    def _draw_buttons(self, view: View) -> None:
        several = view.count > 1
        for each in (self._previous, self._position, self._next):
            each.set_visible(several)
        self._position.set_text(texts.POSITION.format(which=view.which, count=view.count))
        self._keep.set_visible(self._asking)
        label = texts.CLOSE if view.said else texts.WITHDRAW if self._asking else texts.CANCEL
        if self._main.get_label() != label:
            self._main.set_label(label)
        hint = "" if view.said else texts.CANCEL_HINT
        self._main.get_accessible().set_description(hint)
        self._main.set_tooltip_text(hint or None)

    def _turn(self, steps: int) -> None:
        self._waiting.turn(steps)
        self.refresh()

    def _on_main(self) -> None:
        if self._drawn is not None:
            self._waiting.press(self._drawn, self._cancel)
        self._asking = False
        self.refresh()

    def _keep_waiting(self) -> None:
        self._asking = False
        self.refresh()

    def _ask(self) -> None:
        """Escape, or the window's cross: ask before the operation is withdrawn."""
        if self._drawn is not None and self._drawn.said:
            self._on_main()
            return
        self._asking = not self._asking
        self.refresh()
        if self._asking:
            self._keep.grab_focus()

    def _on_close(self, _window: Gtk.Window, _event: Gdk.Event) -> bool:
        self._ask()
        return True

    def _on_key(self, _window: Gtk.Window, event: Gdk.EventKey) -> bool:
        if event.keyval != ESCAPE:
            return False
        self._ask()
        return True


def _box(orientation: Gtk.Orientation, spacing: int, margin: int = 0) -> Gtk.Box:
    return Gtk.Box(orientation=orientation, spacing=spacing, margin=margin)


def _button(label: str, pressed: Callable[[], None]) -> Gtk.Button:
    button = Gtk.Button(label=label)
    button.set_focus_on_click(False)
    button.connect("clicked", lambda _button: pressed())
    return button
