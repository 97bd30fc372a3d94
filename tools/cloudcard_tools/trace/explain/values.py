"""The values of data objects in words; empty if a value is not as it should be.

Values come from untrusted files: whatever is in them, the words are short and printable.
"""

from __future__ import annotations

from uuid import UUID

from card_os.piv.names import AID
from card_os.uses import PinPolicy, TouchPolicy
from cloudcard_tools.trace.explain import names

MOST_TEXT = 80  # characters
RID_BYTES = 5
UNIVERSAL_PIN = ((0x40, "PIN"), (0x20, "global PIN"), (0x10, "fingerprints"), (0x04, "pairing"))
VIRTUAL_CONTACT = 0x08
PREFERENCES = {0x10: "PIN preferred", 0x20: "global PIN preferred"}


def text(value: bytes) -> str:
    """Text, with a dot for each character that is not printable. Long text is cut."""
    return printable(value[: 4 * MOST_TEXT].decode("utf-8", "replace"))


def printable(said: str) -> str:
    """Text without control characters, including those that change its direction. Long text
    is cut.
    """
    cut = said if len(said) <= MOST_TEXT else said[: MOST_TEXT - 1] + "…"
    return "".join(char if char.isprintable() else "." for char in cut)


def number(value: bytes) -> str:
    """A number; empty if it is large."""
    return str(int.from_bytes(value)) if 0 < len(value) <= 4 else ""


def date(value: bytes) -> str:
    """A date of eight digits."""
    if len(value) != 8 or not value.isdigit():
        return ""
    digits = value.decode()
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"


def uuid(value: bytes) -> str:
    """A GUID in its usual notation."""
    return str(UUID(bytes=value)) if len(value) == 16 else ""


def version(value: bytes) -> str:
    """A version of three numbers."""
    return ".".join(map(str, value)) if len(value) == 3 else ""


def application(value: bytes) -> str:
    """The name of an application, by its whole or partial identifier."""
    if not value:
        return ""
    for aid, name in names.APPLICATIONS.items():
        if value.startswith(aid) or (len(value) >= RID_BYTES and aid.startswith(value)):
            return name
    return "PIV, without its provider" if AID[RID_BYTES:].startswith(value) else ""


def algorithm(value: bytes) -> str:
    """The name of an algorithm."""
    return names.ALGORITHMS.get(value[0], "") if len(value) == 1 else ""


def of_metadata(value: bytes) -> str:
    """The algorithm in GET METADATA, where passcodes have one too."""
    return "a passcode" if value == b"\xff" else algorithm(value)


def data_object(value: bytes) -> str:
    """The name of a data object, by its tag."""
    return object_name(int.from_bytes(value)) if 0 < len(value) <= 3 else ""


def object_name(tag: int) -> str:
    """A data object's name, or its number if it has no name."""
    return names.OBJECTS.get(tag, f"object {tag:02X}")


def pin_policy(value: bytes) -> str:
    """When a key asks for the PIN."""
    return _named(value, {int(each): f"PIN {each.name.lower()}" for each in PinPolicy})


def touch_policy(value: bytes) -> str:
    """When a key asks for a touch."""
    return _named(value, {int(each): f"touch {each.name.lower()}" for each in TouchPolicy})


def policies(value: bytes) -> str:
    """Both policies of a key."""
    return ", ".join(filter(None, (pin_policy(value[:1]), touch_policy(value[1:]))))


def origin(value: bytes) -> str:
    """Where a key was made."""
    return _named(value, {1: "made here", 2: "imported"})


def factory(value: bytes) -> str:
    """Whether a passcode is the factory's."""
    return _named(value, {0: "changed", 1: "as from the factory"})


def tries(value: bytes) -> str:
    """How many tries a passcode has left."""
    return f"{value[1]} of {value[0]} left" if len(value) == 2 else ""


def pin_usage(value: bytes) -> str:
    """The PIN usage policy (SP 800-73-5 part 1, 3.3.2)."""
    if len(value) != 2:
        return ""
    allowed = [name for bit, name in UNIVERSAL_PIN if value[0] & bit]
    if value[0] & VIRTUAL_CONTACT:
        allowed.append("virtual contact interface")
    preferred = [PREFERENCES[value[1]]] if value[1] in PREFERENCES else []
    return ", ".join(allowed + preferred)


def compression(value: bytes) -> str:
    """Whether a certificate is compressed."""
    return _named(value, {0: "not compressed", 1: "compressed with gzip"})


def status(value: bytes) -> str:
    """A status word inside secure messaging."""
    return names.status(int.from_bytes(value)) if len(value) == 2 else ""


def _named(value: bytes, members: dict[int, str]) -> str:
    return members.get(value[0], "") if len(value) == 1 else ""
