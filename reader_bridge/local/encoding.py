"""A local card as the bytes of its file, and back. docs/reader.md describes the format."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from typing import TypeAlias, TypeVar

from card_os.uses import PinPolicy, TouchPolicy
from reader_bridge.local.card import Attester, LocalCard, LocalKey, Passcode
from reader_bridge.local.profiles import PROFILES

Json: TypeAlias = "Mapping[str, Json] | str | int | bool | None"
Value = TypeVar("Value")

FORMAT = "cloudcard local card"
VERSION = 1


class Damaged(ValueError):
    """These bytes are not a card's file, or have changed since it was written."""


class TooNew(ValueError):
    """A later version of the program wrote the file."""


def encode(card: LocalCard) -> bytes:
    """The contents of the card's file."""
    body: Json = {
        "profile": card.profile.name,
        "serial": card.serial,
        "guid": _text(card.guid),
        "made": card.made.isoformat(),
        "passcodes": _by_number(card.passcodes, _passcode),
        "objects": _by_number(card.objects, _text),
        "keys": _by_number(card.keys, _key),
        "management_algorithm": card.management_algorithm,
        "management_key": _text(card.management_key),
        "attester": _attester(card.attester) if card.attester else None,
        "verifiable_certificate": _text(card.verifiable_certificate),
    }
    whole = {"format": FORMAT, "version": VERSION, "sha256": _digest(body), "card": body}
    return json.dumps(whole, indent=1).encode() + b"\n"


def decode(data: bytes) -> LocalCard:
    """The card in a file. Raises Damaged or TooNew."""
    try:
        card = _card(_body(data))
        card.image()
    except (Damaged, TooNew):
        raise
    except (ValueError, TypeError, RecursionError):
        # The error's own text is not shown, because it can hold a part of a key.
        raise Damaged("it cannot be read to its end") from None
    return card


class _Fields:
    """A JSON object. Its methods raise Damaged if a member is missing or of the wrong kind."""

    def __init__(self, values: Json) -> None:
        if not isinstance(values, dict):
            raise Damaged("a JSON object is missing")
        self.values: Mapping[str, Json] = values

    def text(self, name: str) -> str:
        value = self._member(name)
        if not isinstance(value, str):
            raise Damaged(f"{name} is not a text")
        return value

    def number(self, name: str) -> int:
        value = self._member(name)
        if not isinstance(value, int):
            raise Damaged(f"{name} is not a number")
        return value

    def octets(self, name: str) -> bytes:
        return b64decode(self.text(name), validate=True)

    def fields(self, name: str) -> _Fields:
        return _Fields(self._member(name))

    def optional_number(self, name: str) -> int | None:
        return None if self._member(name) is None else self.number(name)

    def optional_fields(self, name: str) -> _Fields | None:
        return None if self._member(name) is None else self.fields(name)

    def members(self, read: Callable[[_Fields, str], Value]) -> dict[int, Value]:
        """The members by number; their names are hexadecimal digits."""
        return {int(name, 16): read(self, name) for name in self.values}

    def _member(self, name: str) -> Json:
        if name not in self.values:
            raise Damaged(f"{name} is missing")
        return self.values[name]


def _body(data: bytes) -> _Fields:
    whole = _Fields(json.loads(data))
    if whole.text("format") != FORMAT:
        raise Damaged("it is the file of something else")
    if whole.number("version") > VERSION:
        raise TooNew(f"it has format {whole.number('version')}; this program knows {VERSION}")
    body = whole.fields("card")
    if not compare_digest(whole.text("sha256"), _digest(body.values)):
        raise Damaged("its contents have changed since they were written")
    return body


def _card(body: _Fields) -> LocalCard:
    profile = body.text("profile")
    if profile not in PROFILES:
        raise TooNew(f"its profile {profile!r} is unknown")
    attester = body.optional_fields("attester")
    return LocalCard(
        profile=PROFILES[profile],
        serial=body.text("serial"),
        guid=body.octets("guid"),
        made=datetime.fromisoformat(body.text("made")),
        passcodes=body.fields("passcodes").members(_read_passcode),
        objects=body.fields("objects").members(_Fields.octets),
        keys=body.fields("keys").members(_read_key),
        management_algorithm=body.optional_number("management_algorithm"),
        management_key=body.octets("management_key"),
        attester=_read_attester(attester) if attester else None,
        verifiable_certificate=body.octets("verifiable_certificate"),
    )


def _passcode(passcode: Passcode) -> Json:
    return {"value": _text(passcode.value), "tries": passcode.tries, "most": passcode.most}


def _read_passcode(passcodes: _Fields, name: str) -> Passcode:
    fields = passcodes.fields(name)
    return Passcode(fields.octets("value"), fields.number("tries"), fields.number("most"))


def _key(key: LocalKey) -> Json:
    return {
        "algorithm": key.algorithm,
        "private": _text(key.private),
        "pin_policy": int(key.pin_policy),
        "touch_policy": int(key.touch_policy),
        "imported": key.imported,
    }


def _read_key(keys: _Fields, name: str) -> LocalKey:
    fields = keys.fields(name)
    return LocalKey(
        algorithm=fields.number("algorithm"),
        private=fields.octets("private"),
        pin_policy=PinPolicy(fields.number("pin_policy")),
        touch_policy=TouchPolicy(fields.number("touch_policy")),
        imported=bool(fields.number("imported")),
    )


def _attester(attester: Attester) -> Json:
    return {"key": _key(attester.key), "certificate": _text(attester.certificate)}


def _read_attester(fields: _Fields) -> Attester:
    return Attester(_read_key(fields, "key"), fields.octets("certificate"))


def _by_number(values: Mapping[int, Value], write: Callable[[Value], Json]) -> Json:
    return {f"{number:02X}": write(value) for number, value in sorted(values.items())}


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _digest(body: Json) -> str:
    """SHA-256 over the contents without spacing. It detects damage, not deliberate changes."""
    return sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
