"""GET DATA (SP 800-73-5 part 2, 3.1.2) and the card's image."""

from __future__ import annotations

from typing import cast

import pytest

from card_os.management import CardKey
from card_os.piv import CardImage
from card_os.piv.names import CERTIFICATE_OF_KEY, CONTAINER_ID, RETIRED_CERTIFICATES, ObjectTag
from fakes import ECC_KEYS, GUID, ScriptedKeys, new_card, sample_image

VERIFY = "00200080 08 313233343536FFFF"


def get(tag: str) -> str:
    data = f"5C{len(tag) // 2:02X}{tag}"
    return f"00CB3FFF {len(data) // 2:02X} {data} 00"


def test_discovery_as_in_the_standard() -> None:
    """Part 1, 3.3.2: returned under its own tag."""
    expected = "7E12 4F0BA000000308000010000100 5F2F024000 9000"
    assert new_card().send(get("7E")) == expected.replace(" ", "")


def test_biometric_templates_are_bare_too() -> None:
    image = CardImage("1", GUID, {ObjectTag.BIOMETRIC_TEMPLATES: bytes.fromhex("020100")}, {})
    assert new_card(image=image).send(get("7F61")) == "7F61030201009000"


def test_other_objects_are_wrapped() -> None:
    assert new_card().send(get("5FC10C")) == "5308C10101C20100FE009000"


def test_an_empty_object_is_there() -> None:
    """Part 1, 4.1: created but not used."""
    image = CardImage("1", GUID, {ObjectTag.FACIAL_IMAGE: b"", ObjectTag.CCC: b""}, {})
    assert new_card(image=image).send(get("5FC107")) == "53009000"


@pytest.mark.parametrize("tag", ["5FC103", "5FC108", "5FC109", "5FC121", "5FC123"])
def test_protected_objects(tag: str) -> None:
    """Part 1, table 2: without the PIN, one that is not there looks like one that is."""
    card = new_card(ScriptedKeys())
    assert card.send(get(tag)) == "6982"
    card.send(VERIFY)
    assert card.send(get(tag))[-4:] == ("9000" if tag == "5FC109" else "6A82")


@pytest.mark.parametrize(
    "tag", ["5FC10A", "5FC120", "7F61", "5FC124", "5FC1FF", "00", "53", "5F2F"]
)
def test_objects_that_are_not_there(tag: str) -> None:
    assert new_card().send(get(tag)) == "6A82"


@pytest.mark.parametrize(
    ("what", "command", "sw"),
    [
        ("other P1", "00CB00FF 03 5C017E 00", "6A86"),
        ("other P2", "00CB3F00 03 5C017E 00", "6A86"),
        ("no data", "00CB3FFF 00", "6700"),
        ("no tag", "00CB3FFF 02 5C00 00", "6A82"),
        ("two tags", "00CB3FFF 06 5C047E5FC102 00", "6A82"),
        ("zeros before the tag", "00CB3FFF 04 5C02007E 00", "6A82"),
        ("two lists", "00CB3FFF 06 5C017E5C017E 00", "6A80"),
        ("no list", "00CB3FFF 03 53017E 00", "6A80"),
        ("list cut short", "00CB3FFF 03 5C027E 00", "6A80"),
        ("tag cut short", "00CB3FFF 04 5C025FC1 00", "6A82"),
    ],
)
def test_malformed(what: str, command: str, sw: str) -> None:
    assert new_card().send(command) == sw, what


def test_a_long_form_length_is_a_length() -> None:
    assert new_card().send("00CB3FFF 04 5C81017E 00").startswith("7E12")


def test_each_key_has_its_certificate() -> None:
    assert len(CERTIFICATE_OF_KEY) == 24
    assert CERTIFICATE_OF_KEY[0x82] == 0x5FC10D
    assert CERTIFICATE_OF_KEY[0x95] == 0x5FC120


def test_containers() -> None:
    """Part 1, table 2 has 36 of them."""
    assert len(CONTAINER_ID) == 36 == len(set(CONTAINER_ID.values()))
    assert set(CONTAINER_ID) == {*ObjectTag, *RETIRED_CERTIFICATES}
    assert CONTAINER_ID[0x5FC120] == 0x1014


def test_an_image_is_a_copy() -> None:
    objects = {int(ObjectTag.CCC): b"before"}
    image = CardImage("1", GUID, objects, ECC_KEYS)
    objects[ObjectTag.CCC] = b"after"
    assert image.objects == {ObjectTag.CCC: b"before"}
    with pytest.raises(TypeError):
        cast("dict[int, bytes]", image.objects)[ObjectTag.CCC] = b"after"


@pytest.mark.parametrize(
    ("guid", "objects", "keys", "why"),
    [
        (bytes(15), {}, {}, "15 bytes"),
        (GUID, {0x5FC1FF: b""}, {}, "data object 5FC1FF"),
        (GUID, {}, {0x9A: CardKey(0x15)}, "key 9A of algorithm 15"),
        (GUID, {}, {0x9B: CardKey(0x08)}, "key 9B of algorithm 08"),
        (GUID, {}, {0x96: CardKey(0x11)}, "key 96 of algorithm 11"),
    ],
)
def test_what_no_card_has(
    guid: bytes, objects: dict[int, bytes], keys: dict[int, CardKey], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        CardImage("1", guid, objects, keys)


def test_an_image_shows_no_contents() -> None:
    assert "Ada" not in repr(sample_image())
