"""Objects that require the PIN and that the card's image does not hold: GET DATA asks for them."""

from __future__ import annotations

import pytest

from card_os.administration import Changed, WriteObject
from card_os.keys import KeyResult, ReadObject, Refusal, TriesLeft
from card_os.piv import CardImage
from card_os.piv.names import ObjectTag
from card_os.piv.rules import PIN_OBJECTS
from support.fakes import (
    ADMIN_PROOF,
    ADMINISTERED,
    GUID,
    PROOF,
    ScriptedKeys,
    administer,
    new_card,
)

VERIFY = "00200080 08 313233343536FFFF"
PRINTED = ObjectTag.PRINTED_INFORMATION
READ = "00CB3FFF 05 5C035FC109 00"
CONTENTS = b"\x01\x03Ada\xfe\x00"


def image(*withheld: int, **objects: bytes) -> CardImage:
    held = {ObjectTag[name]: value for name, value in objects.items()}
    return CardImage("1", GUID, held, {}, ADMINISTERED, withheld=frozenset(withheld))


@pytest.mark.parametrize("tag", PIN_OBJECTS)
def test_one_is_asked_for_when_the_pin_is_verified(tag: int) -> None:
    keys = ScriptedKeys(CONTENTS)
    card = new_card(keys, image=image(tag))
    read = f"00CB3FFF 05 5C03{tag:06X} 00"
    assert card.send(read) == "6982"
    assert keys.requests == []
    card.send(VERIFY)
    assert card.send(read) == f"5307{CONTENTS.hex().upper()}9000"
    assert keys.requests[-1] == ReadObject(PROOF, tag)


@pytest.mark.parametrize("contents", [b"", CONTENTS, bytes(range(256)) * 40])
def test_a_client_notices_no_difference(contents: bytes) -> None:
    withholds = new_card(ScriptedKeys(contents), image=image(PRINTED))
    holds = new_card(ScriptedKeys(), image=image(PRINTED_INFORMATION=contents))
    for command in (READ, VERIFY, READ, *["00C00000 00"] * 41):
        assert withholds.send(command) == holds.send(command)


@pytest.mark.parametrize(
    ("result", "sw"),
    [
        (Refusal.UNAVAILABLE, "6400"),
        (Refusal.UNKNOWN_KEY, "6A82"),  # somebody has just removed it
        (Refusal.DENIED, "6985"),
        (TriesLeft(3), "6F00"),  # a bug
    ],
)
def test_a_refusal(result: KeyResult, sw: str) -> None:
    card = new_card(ScriptedKeys(result, CONTENTS), image=image(PRINTED))
    card.send(VERIFY)
    assert card.send(READ) == sw
    assert card.send(READ).endswith("9000")


def test_a_proof_that_has_ended_asks_for_the_pin() -> None:
    keys = ScriptedKeys(Refusal.PASSCODE_NEEDED, CONTENTS)
    card = new_card(keys, image=image(PRINTED))
    card.send(VERIFY)
    assert [card.send(READ), card.send(READ)] == ["6982", "6982"]
    assert len(keys.requests) == 2
    assert card.send("00200080") == "63C3"
    card.send(VERIFY)
    assert card.send(READ).endswith("9000")


def test_after_a_reset_nothing_is_asked() -> None:
    keys = ScriptedKeys(CONTENTS)
    card = new_card(keys, image=image(PRINTED))
    card.send(VERIFY)
    card.card.reset()
    assert card.send(READ) == "6982"
    assert len(keys.requests) == 1


class WithholdingKeys(ScriptedKeys):
    """A key service that withholds what is written."""

    def _change(self, request: WriteObject) -> KeyResult:  # type: ignore[override]
        if request.contents:
            return Changed(withheld=frozenset({request.tag}))
        return Changed(objects={request.tag: None})


def test_one_that_an_administrator_writes_and_removes() -> None:
    keys = WithholdingKeys(CONTENTS)
    card = new_card(keys, image=image())
    administer(card)
    card.send(VERIFY)
    assert card.send(READ) == "6A82"
    assert card.send("00DB3FFF 0E 5C035FC109 5307 0103416461FE00") == "9000"
    assert keys.requests[-1] == WriteObject(ADMIN_PROOF, PRINTED, CONTENTS)
    assert card.send(READ).endswith("9000")
    assert card.send("00DB3FFF 07 5C035FC109 5300") == "9000"
    assert card.send(READ) == "6A82"


def test_what_is_written_takes_the_place_of_what_the_image_held() -> None:
    before = image(PRINTED_INFORMATION=CONTENTS)
    after = before.after(Changed(withheld=frozenset({PRINTED})))
    assert (after.objects, after.withheld) == ({}, {PRINTED})
    again = after.after(Changed(objects={PRINTED: b"x"}))
    assert (again.objects, again.withheld) == ({PRINTED: b"x"}, frozenset())


@pytest.mark.parametrize("tag", [ObjectTag.CHUID, 0x5FFF00, 0x600000])
def test_nothing_else_is_withheld(tag: int) -> None:
    with pytest.raises(ValueError, match=f"withholds a data object {tag:X}"):
        image(tag)
    with pytest.raises(ValueError, match="withholds"):
        image(PRINTED, PRINTED_INFORMATION=CONTENTS)
