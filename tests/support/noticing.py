"""A program for the system's Python: what shows notifications on a desktop. It prints them as JSON;
each line of its input presses the button of that name on the last one.
"""

from __future__ import annotations

import json
import sys

from gi.repository import Gio, GLib

NAME, PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
INTERFACE = """<node><interface name="org.freedesktop.Notifications">
<method name="GetCapabilities"><arg type="as" direction="out"/></method>
<method name="Notify"><arg type="s" direction="in"/><arg type="u" direction="in"/>
<arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="in"/>
<arg type="as" direction="in"/><arg type="a{sv}" direction="in"/><arg type="i" direction="in"/>
<arg type="u" direction="out"/></method>
<method name="CloseNotification"><arg type="u" direction="in"/></method>
<signal name="ActionInvoked"><arg type="u"/><arg type="s"/></signal></interface></node>"""
NUMBER = 7


def answer(
    _bus: object,
    _sender: str,
    _path: str,
    _interface: str,
    method: str,
    values: GLib.Variant,
    call: Gio.DBusMethodInvocation,
) -> None:
    """Answer a program that shows something."""
    match method:
        case "GetCapabilities":
            call.return_value(GLib.Variant("(as)", (["actions", "body"],)))
        case "Notify":
            _, _, _, title, body, *_ = values.unpack()
            print(json.dumps({"event": "notify", "title": title, "body": body}))
            call.return_value(GLib.Variant("(u)", (NUMBER,)))
        case _:
            print(json.dumps({"event": "close"}))
            call.return_value(None)


def press(_source: object, _condition: object) -> bool:
    """Press a button of the notification."""
    line = sys.stdin.readline().strip()
    if not line:
        loop.quit()
        return False
    bus.emit_signal(None, PATH, NAME, "ActionInvoked", GLib.Variant("(us)", (NUMBER, line)))
    return True


loop = GLib.MainLoop()
bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
described = Gio.DBusNodeInfo.new_for_xml(INTERFACE).interfaces[0]
bus.register_object(PATH, described, answer, None, None)
Gio.bus_own_name_on_connection(
    bus, NAME, Gio.BusNameOwnerFlags.NONE, lambda *_: print("ready"), None
)
GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN, press)
loop.run()
