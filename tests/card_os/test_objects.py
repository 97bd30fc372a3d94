"""GET DATA, PUT DATA (SP 800-73-5 part 2, 3.1.2 and 3.3.1) and the card's image."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from card_os import tlv
from card_os.administration import Administrator, CardKey, WriteObject
from card_os.keys import Refusal
from card_os.piv import CardImage, Features
from card_os.piv.names import CERTIFICATE_OF_KEY, CONTAINER_ID, RETIRED_CERTIFICATES, ObjectTag
from card_os.piv.objects import BARE
from support.fakes import (
    ADMINISTERED,
    DEVELOPER,
    ECC_KEYS,
    GUID,
    CannedKeys,
    DrivenCard,
    ScriptedKeys,
    administer,
    new_card,
    sample_image,
)

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
        (GUID, {0x600000: b""}, {}, "data object 600000"),
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


# PUT DATA (part 2, 3.3.1)

PUT = "00DB3FFF {:02X} {}"


def put(data: str) -> str:
    return PUT.format(len(bytes.fromhex(data)), data)


def administered(features: Features = ADMINISTERED) -> DrivenCard:
    card = new_card(ScriptedKeys(), features=features)
    administer(card)
    return card


def test_every_object_can_be_written_and_read() -> None:
    """Part 1, table 3."""
    card = administered()
    card.send(VERIFY)
    for tag in CONTAINER_ID:
        name = tlv.encode_tag(tag).hex().upper()
        bare = tag in BARE
        contents = "0101AA"
        data = f"{name}03{contents}" if bare else f"5C03{name}5303{contents}"
        assert card.send(put(data)) == "9000"
        assert card.send(get(name)) == f"{name if bare else '53'}03{contents}9000"


@pytest.mark.parametrize("tag", ["5FFF00", "5FFF15", "5FFFFF"])
def test_notes_of_tools(tag: str) -> None:
    card = administered(DEVELOPER)
    assert card.send(get(tag)) == "6A82"
    assert card.send(put(f"5C03{tag}530101")) == "9000"
    assert card.send(get(tag)) == "5301019000"


def test_notes_are_not_there_without_extensions() -> None:
    image = replace(sample_image(), objects={0x5FFF00: b"note"})
    assert new_card(image=image).send(get("5FFF00")) == "6A82"


def test_an_object_without_contents_is_removed() -> None:
    card = administered()
    card.send(VERIFY)
    for data, tag in (
        ("5C035FC1095300", "5FC109"),
        ("5C035FC1095300", "5FC109"),  # again
        ("7E00", "7E"),
        ("7F6100", "7F61"),
    ):
        assert card.send(put(data)) == "9000"
        assert card.send(get(tag)) == "6A82"


@pytest.mark.parametrize(
    "data",
    [
        "53",
        "5300",
        "5C035FC109",
        "53005C035FC109",
        "5C035FC10953005300",
        "5C035FC1095400",
        "5C035FC109530201",
        "5C005300",
        "5C0400C109005300",
        "5C017E5300",  # it is bare
        "5C027F615300",
        "7F6001",
        "5300005C035FC109",
    ],
)
def test_malformed_data_to_write(data: str) -> None:
    card = administered()
    assert card.send(put(data)) == "6A80"
    assert card.send("00DB3FFF") == "6A80"


def test_what_is_written_is_on_all_channels() -> None:
    card = administered()
    card.send("00700001")
    card.send(put("5C035FC12253020102"))
    assert card.send("01" + get("5FC122")[2:]) == "530201029000"


def test_a_refused_change_is_none() -> None:
    for refusal, sw in (
        (Refusal.FULL, "6A84"),
        (Refusal.MALFORMED, "6A80"),
        (Refusal.UNKNOWN_KEY, "6A81"),
        (Refusal.DENIED, "6985"),
        (Refusal.UNAVAILABLE, "6400"),
        (Refusal.PASSCODE_NEEDED, "6982"),
    ):
        card = new_card(
            CannedKeys(bytes(16), Administrator(b"proof"), refusal), features=ADMINISTERED
        )
        card.send("0087089B 04 7C028100 00")
        card.send("0087089B 14 7C128210" + "00" * 16)
        assert card.send(put("5C035FC10253020102")) == sw
        assert card.send(get("5FC102")).startswith("533B")


def test_hanging_up_changes_nothing_on_the_card() -> None:
    card = administered()
    exchange = card.card.exchange(bytes.fromhex(put("5C035FC10253020102")))
    assert isinstance(next(exchange), WriteObject)
    exchange.close()
    assert card.send(get("5FC102")).startswith("533B")


# Attacks


@pytest.mark.parametrize("tag", ["5FC103", "5FC108", "5FC109", "5FC121", "5FC123"])
def test_existence_leaks_neither_by_status_nor_by_requests(tag: str) -> None:
    """Nor to an administrator: who may write need not be who may read."""
    there = {int(tag, 16): b"contents"}
    answers = set()
    for objects in (there, {}):
        image = replace(sample_image(features=ADMINISTERED), objects=objects)
        card = new_card(ScriptedKeys(), image)
        administer(card)
        answers.add(card.send(get(tag)))
    assert answers == {"6982"}
