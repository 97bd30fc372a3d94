"""Commands under secure messaging for a trace: protected again for a second card, without secrets.

The second card is not told the shared secret of the first one, so it has other session keys. The
command is therefore unwrapped with the keys of the first card and protected with those of the
second; lengths and the parts of a chain stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from card_os import tlv
from card_os.apdu import Command
from card_os.secure_messaging import LE, SecureMessaging
from card_os.status import CardError

Redact: TypeAlias = Callable[[bytes], bytes]  # from a plain command APDU to one of the same length

NO_TAG = b"\xff"  # a run of these bytes is never BER-TLV


def renew(
    parts: Sequence[bytes],
    own: SecureMessaging | None,
    other: SecureMessaging | None,
    redact: Redact,
) -> list[bytes]:
    """The parts of a protected command, made for the session keys `own`, made anew for
    `other`. If `own` cannot unwrap the command, the parts hold nothing and `other` cannot either.
    """
    data = [_data(part) for part in parts]
    if any(field is None for field in data):
        return [hide(part) for part in parts]
    field = b"".join(each for each in data if each is not None)
    last = Command.parse(parts[-1])
    made = None
    if own is not None and other is not None:
        made = _protect(replace(last, data=field), own, other, redact)
    if made is None or len(made) != len(field):
        made = _hidden(field)
    renewed, at = [], 0
    for part, piece in zip(parts, data, strict=True):
        size = len(piece or b"")
        renewed.append(_with(part, made[at : at + size]))
        at += size
    return renewed


def hide(part: bytes) -> bytes:
    """A part of the same length without the contents."""
    found = _data(part)
    return part[:4] + bytes(len(part) - 4) if found is None else _with(part, _hidden(found))


def _protect(
    command: Command, own: SecureMessaging, other: SecureMessaging, redact: Redact
) -> bytes | None:
    """The data field under the session keys `other`; None if `own` cannot unwrap the command."""
    try:
        plain, _ = own.unwrap(command)
    except CardError:
        return None
    redacted = Command.parse(redact(bytes(plain)))
    le = dict(tlv.decode(command.data)).get(LE)
    return other.protect(replace(redacted, ne=0), le)


def _hidden(field: bytes) -> bytes:
    """Data objects with the same tags and lengths; malformed data stays malformed."""
    try:
        objects = list(tlv.decode(field))
    except tlv.TlvError:
        return NO_TAG * len(field)
    kept = (tlv.encode(tag, value if tag == LE else bytes(len(value))) for tag, value in objects)
    hidden = b"".join(kept)
    return hidden if len(hidden) == len(field) else NO_TAG * len(field)


def _data(part: bytes) -> bytes | None:
    try:
        return Command.parse(part).data
    except CardError:
        return None


def _with(part: bytes, data: bytes) -> bytes:
    """The part with other data of the same length."""
    extended = len(part) > 5 and part[4] == 0
    start = 7 if extended else 5
    return part[:start] + data + part[start + len(data) :] if data else part
