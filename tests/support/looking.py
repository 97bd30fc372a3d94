"""A program for the system's Python: looks at windows as screen readers do, and presses buttons.

`looking.py see` prints a list of what can be seen; `looking.py press NAME` whether it was pressed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import gi

gi.require_version("Atspi", "2.0")

from gi.repository import Atspi, GLib  # noqa: E402 (after its version)

BUTTONS = ("push button", "button")  # before at-spi 2.53, and since


def below(node: Atspi.Accessible) -> Iterator[Atspi.Accessible]:
    """What is shown in a node, and the node itself."""
    if node is None or not node.get_state_set().contains(Atspi.StateType.SHOWING):
        return
    yield node
    for place in range(node.get_child_count()):
        yield from below(node.get_child_at_index(place))


def windows() -> Iterator[Atspi.Accessible]:
    """What is shown in the windows of all programs."""
    desktop = Atspi.get_desktop(0)
    for place in range(desktop.get_child_count()):
        program = desktop.get_child_at_index(place)
        for window in range(program.get_child_count() if program is not None else 0):
            try:
                yield from below(program.get_child_at_index(window))
            except GLib.Error:  # it has just gone
                continue


def actions(node: Atspi.Accessible) -> list[str]:
    """What can be done with a node."""
    found = node.get_action_iface()
    if found is None:
        return []
    return [found.get_action_name(place) for place in range(found.get_n_actions())]


def press(name: str) -> bool:
    """Do the first thing that can be done with the button of that name."""
    for node in windows():
        if node.get_name() == name and node.get_role_name() in BUTTONS:
            return bool(node.get_action_iface().do_action(0))
    return False


if sys.argv[1] == "press":
    print(json.dumps(press(sys.argv[2])))
else:
    facts = [
        {
            "role": node.get_role_name(),
            "name": node.get_name() or "",
            "description": node.get_description() or "",
            "actions": actions(node),
        }
        for node in windows()
    ]
    print(json.dumps(facts))
