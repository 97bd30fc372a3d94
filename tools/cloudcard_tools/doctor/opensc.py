"""Checks of OpenSC's PKCS#11 module: by loading it, as an application does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from cloudcard_tools.doctor import asking
from cloudcard_tools.doctor.checks import Finding, failed, ok, warning
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.shared.processes import Json

Ask: TypeAlias = Callable[[], asking.Answer]

INSTALL = "apt-get install opensc opensc-pkcs11 (other systems: their package manager)"
ALL_READERS = "app default { pkcs11 { max_virtual_slots = 32; slots_per_card = 1; } }"
SHOWS_MORE = "onepin-opensc-pkcs11.so"
WAITS = (
    "a card may wait for its holder, or a reader hangs: OpenSC asks all of them when it starts. "
    "Try again when nobody is asked on a phone"
)


def module(places: Places, ask_slots: Ask) -> Finding:
    """Whether the module is there and can be loaded."""
    found = places.module()
    if found is None:
        return failed("there is no opensc-pkcs11.so", INSTALL)
    match ask_slots():
        case {"slots": list(), "version": version}:
            return ok(f"{found}, version {version}")
        case {"late": _}:
            return warning(f"{found} does not answer in {asking.SECONDS:g} s", WAITS)
        case {"error": error}:
            return failed(f"{found} cannot be used: {error}", f"reinstall it: {INSTALL}")
        case _:
            return failed(f"{found} crashes", f"reinstall it: {INSTALL}")


def shown(places: Places, ask_readers: Ask, ask_slots: Ask) -> Finding:
    """Whether the module shows every reader that pcscd has: by itself it shows four."""
    found = places.module()
    readers = ask_readers().get("readers")
    if found is None or not isinstance(readers, dict):
        return warning("not tried, as PC/SC or the module does not answer", "see the checks above")
    slots = ask_slots().get("slots")
    if not isinstance(slots, list):
        return warning(f"{found.name} does not tell its slots", WAITS)
    return judged(readers, slots, other=places.module(SHOWS_MORE) is not None)


def judged(readers: Mapping[str, Json], slots: list[Json], *, other: bool) -> Finding:
    """What it means that the module shows these readers of pcscd's. `other` tells whether there is
    a module that shows more.
    """
    # The module cuts a name to 64 bytes.
    hidden = [name for name in readers if not any(name.startswith(str(each)) for each in slots)]
    if not hidden:
        return ok(f"it shows all readers ({len(readers)})")
    fix = f"write into opensc.conf: {ALL_READERS}"
    if other:
        fix = f"let applications load {SHOWS_MORE}, which shows eight, or {fix}"
    with_card = [name for name in hidden if readers[name]]
    if with_card:
        return failed(f"it does not show a card that is in: {', '.join(with_card)}", fix)
    return warning(f"it does not show {', '.join(hidden)}: a card there is not seen", fix)
