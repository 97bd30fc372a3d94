"""A card image as the bytes of a file, and back. Traces name the file by its digest; it holds no
secrets.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TypeAlias, TypeVar

from card_os.administration import CardKey
from card_os.piv.image import CardImage, Features
from card_os.trace.words import TraceError, from_hex
from card_os.uses import PinPolicy, TouchPolicy

Json: TypeAlias = "Mapping[str, Json] | list[Json] | str | int | bool | None"
T = TypeVar("T", str, int, bool)
V = TypeVar("V")

FORMAT = "cloudcard card image 1"


def digest(encoded: bytes) -> bytes:
    """The name of the image in traces: SHA-256 of its file."""
    return sha256(encoded).digest()


def encode(image: CardImage) -> bytes:
    """The file of an image; equal images make equal files."""
    whole: Mapping[str, Json] = {
        "format": FORMAT,
        "serial": image.serial,
        "guid": image.guid.hex(),
        "objects": {f"{tag:06x}": value.hex() for tag, value in sorted(image.objects.items())},
        "keys": {f"{key_ref:02x}": _key(key) for key_ref, key in sorted(image.keys.items())},
        "features": {
            "algorithms": [f"{each:02x}" for each in sorted(image.features.algorithms)],
            "management_algorithm": image.features.management_algorithm,
            "global_pin": image.features.global_pin,
            "extensions": image.features.extensions,
        },
        "verifiable_certificate": image.verifiable_certificate.hex(),
    }
    if image.factory_management_key:  # absent otherwise, so that older files keep their names
        whole = {**whole, "factory_management_key": True}
    if image.withheld:  # as above
        whole = {**whole, "withheld": [f"{tag:06x}" for tag in sorted(image.withheld)]}
    return json.dumps(whole, indent=1).encode() + b"\n"


def decode(data: bytes) -> CardImage:
    """The image of a file. Raises TraceError if the file is malformed."""
    try:
        return _image(_whole(data))
    except TraceError:
        raise
    except RecursionError:
        raise TraceError("this is not a card image: it is nested too deeply") from None
    except (ValueError, KeyError, TypeError) as error:
        raise TraceError(f"this card image cannot be read: {error}") from None


def _whole(data: bytes) -> Mapping[str, Json]:
    whole = json.loads(data)
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise TraceError(f"this is not a card image: its format is not {FORMAT!r}")
    return whole


def _image(whole: Mapping[str, Json]) -> CardImage:
    features = _object(whole, "features")
    management = features["management_algorithm"]
    return CardImage(
        serial=_get(whole, "serial", str),
        guid=_octets(whole, "guid"),
        objects=_by_number(_object(whole, "objects"), _octets),
        withheld=frozenset(_numbers(whole, "withheld")) if "withheld" in whole else frozenset(),
        keys=_by_number(_object(whole, "keys"), _read_key),
        features=Features(
            algorithms=frozenset(_numbers(features, "algorithms")),
            management_algorithm=(
                None if management is None else _get(features, "management_algorithm", int)
            ),
            global_pin=_get(features, "global_pin", bool),
            extensions=_get(features, "extensions", bool),
        ),
        verifiable_certificate=_octets(whole, "verifiable_certificate"),
        factory_management_key=whole.get("factory_management_key") is True,
    )


def _key(key: CardKey) -> Json:
    return {
        "algorithm": f"{key.algorithm:02x}",
        "public": key.public.hex(),
        "pin_policy": int(key.pin_policy),
        "touch_policy": int(key.touch_policy),
        "imported": key.imported,
    }


def _read_key(keys: Mapping[str, Json], name: str) -> CardKey:
    key = _object(keys, name)
    return CardKey(
        int(_get(key, "algorithm", str), 16),
        _octets(key, "public"),
        PinPolicy(_get(key, "pin_policy", int)),
        TouchPolicy(_get(key, "touch_policy", int)),
        _get(key, "imported", bool),
    )


def _numbers(whole: Mapping[str, Json], name: str) -> list[int]:
    values = whole[name]
    if not isinstance(values, list):
        raise TraceError(f"this card image cannot be read: {name} is not a list")
    return [int(each, 16) for each in values if isinstance(each, str)]


def _by_number(
    values: Mapping[str, Json], read: Callable[[Mapping[str, Json], str], V]
) -> dict[int, V]:
    return {int(name, 16): read(values, name) for name in values}


def _object(whole: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    value = whole[name]
    if not isinstance(value, dict):
        raise TraceError(f"this card image cannot be read: {name} is not an object")
    return value


def _octets(whole: Mapping[str, Json], name: str) -> bytes:
    text = _get(whole, name, str)
    return from_hex(text) if text else b""


def _get(whole: Mapping[str, Json], name: str, kind: type[T]) -> T:
    value = whole[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TraceError(f"this card image cannot be read: {name} is not of type {kind.__name__}")
    return value
