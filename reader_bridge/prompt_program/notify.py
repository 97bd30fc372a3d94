"""The prompt as a notification of the desktop, over D-Bus (Desktop Notifications 1.2)."""

from __future__ import annotations

import time
from collections.abc import Callable

from gi.repository import Gio, GLib

from reader_bridge.prompt_program import texts
from reader_bridge.prompt_program.starting import Cancel, Unusable
from reader_bridge.prompt_program.waiting import View, Waiting

NAME, PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
PROGRAM, ICON = "Cloudcard", "dialog-password"
CANCEL = "cancel"
CRITICAL = 2  # urgency: it stays until it is closed
CALL_MS = 5000
TICK_MS = 500
NEVER, NEW = 0, 0


def new(waiting: Waiting, cancel: Cancel) -> Notifications:
    """Raises Unusable if nothing here shows notifications."""
    try:
        bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
        capabilities = _call(bus, "GetCapabilities", None).unpack()[0]
    except GLib.Error as error:
        raise Unusable(error.message) from None
    return Notifications(bus, capabilities, waiting, cancel)


class Notifications:
    """One notification, for what has waited longest."""

    def __init__(
        self, bus: Gio.DBusConnection, capabilities: list[str], waiting: Waiting, cancel: Cancel
    ) -> None:
        self._bus = bus
        self._markup = "body-markup" in capabilities
        self._actions = "actions" in capabilities
        self._waiting = waiting
        self._cancel = cancel
        self._loop = GLib.MainLoop()
        self._id = NEW
        self._drawn: View | None = None
        bus.signal_subscribe(
            None, NAME, "ActionInvoked", PATH, None, Gio.DBusSignalFlags.NONE, self._on_action
        )
        GLib.timeout_add(TICK_MS, self._tick)

    def run(self) -> None:
        """Show things until `stop`."""
        self._loop.run()

    def stop(self) -> None:
        """Take the notification away and let `run` return."""
        self._close()
        self._loop.quit()

    def post(self, call: Callable[[], None]) -> None:
        """Have something called on the loop's thread."""

        def once() -> bool:
            call()
            return bool(GLib.SOURCE_REMOVE)

        GLib.idle_add(once)

    def refresh(self) -> None:
        """Show what waits, or take the notification away."""
        view = self._waiting.view(time.monotonic())
        if view is None:
            self._close()
            return
        before, self._drawn = self._drawn, view
        if before is None or (before.operation, before.said) != (view.operation, view.said):
            self._notify(view)

    def _tick(self) -> bool:
        if self._drawn is not None:
            self.refresh()
        return bool(GLib.SOURCE_CONTINUE)

    def _notify(self, view: View) -> None:
        title, body = said(view)
        if self._markup:
            body = GLib.markup_escape_text(body)
        actions = [CANCEL, texts.CANCEL] if self._actions and not view.said else []
        hints = {"urgency": GLib.Variant("y", CRITICAL), "category": GLib.Variant("s", "device")}
        value = (PROGRAM, self._id, ICON, title, body, actions, hints, NEVER)
        try:
            answer = _call(self._bus, "Notify", GLib.Variant("(susssasa{sv}i)", value))
        except GLib.Error:
            return  # the desktop is ending, and this program with it
        self._id = answer.unpack()[0]

    def _close(self) -> None:
        number, self._id, self._drawn = self._id, NEW, None
        if number != NEW:
            try:
                _call(self._bus, "CloseNotification", GLib.Variant("(u)", (number,)))
            except GLib.Error:
                return  # somebody has closed it

    def _on_action(
        self,
        _bus: Gio.DBusConnection,
        _sender: str,
        _path: str,
        _interface: str,
        _signal: str,
        values: GLib.Variant,
    ) -> None:
        number, action = values.unpack()
        if number == self._id and action == CANCEL and self._drawn is not None:
            self._cancel(self._drawn.operation)


def said(view: View) -> tuple[str, str]:
    """Title and text. A notification has no QR code: without a number it says where the code is."""
    facts = [f"{name}: {value}" for name, value in view.rows]
    if view.check_code:
        facts.append(f"{texts.CHECK_CODE}: {view.check_code}")
    if view.said:
        return view.said, "\n".join(facts)
    if not view.number:
        return texts.TITLE, "\n".join((texts.NO_CODE_HERE, *facts))
    title = texts.NOTICE.format(number=view.number, words=texts.in_words(view.number))
    return title, "\n".join((texts.NUMBER, *facts))


def _call(bus: Gio.DBusConnection, method: str, value: GLib.Variant | None) -> GLib.Variant:
    return bus.call_sync(
        NAME, PATH, NAME, method, value, None, Gio.DBusCallFlags.NONE, CALL_MS, None
    )
