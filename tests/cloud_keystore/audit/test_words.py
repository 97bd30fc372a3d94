"""Entries in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cloud_keystore.audit.words import SENTENCES, sentence
from cloud_keystore.model.actors import DATA_FOLDER, KEYSTORE, Actor, ActorKind
from cloud_keystore.model.journal import Detail, Entry, Kind

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
OLGA = Actor(ActorKind.OPERATOR, "o1")
PHONE = Actor(ActorKind.DEVICE, "d1")
NAMES = {
    "o1": "Olga",
    "d1": "Ada's {phone}",
    "w1": "WARD7-PC3",
    "c1": "1500000000000017",
    "k1": "9A",
    "u1": "Ada Byron",
}


def entry(kind: Kind, actor: Actor, **details: Detail) -> Entry:
    return Entry(
        kind,
        NOW,
        actor,
        card_id="c1",
        user_id="u1",
        workstation_id="w1",
        key_id="k1",
        details=details,
    )


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_words(kind: Kind) -> None:
    text = sentence(entry(kind, OLGA), NAMES)
    assert text[0].isupper()
    assert not set("{}") & set(text)
    assert "  " not in text


def test_there_are_no_words_for_anything_else() -> None:
    assert set(SENTENCES) == set(Kind)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (
            entry(Kind.CARD_REVOKED, OLGA, reason="left"),
            "Operator Olga revoked card 1500000000000017: left",
        ),
        (entry(Kind.OPERATION_APPROVED, PHONE), "Phone Ada's {phone} approved a request at"),
        (
            entry(Kind.SESSION_ENDED, KEYSTORE, why="time"),
            "A session at workstation WARD7-PC3 ended: time",
        ),
        (
            entry(Kind.CARD_RESUMED, DATA_FOLDER),
            "The operator of this computer put card 1500000000000017 back in use",
        ),
        (
            entry(
                Kind.USER_CHANGED, OLGA, old_name="Ada", name="Ada B", old_email="", email="a@b.c"
            ),
            "Operator Olga changed the person: the name from Ada to Ada B, the e-mail address from "
            "none to a@b.c",
        ),
        (entry(Kind.IDENTITY_INVITED, OLGA, role="device"), "Operator Olga invited a phone"),
        (entry(Kind.USER_ADDED, Actor(ActorKind.OPERATOR, "gone")), "Operator added the person"),
    ],
)
def test_words(made: Entry, text: str) -> None:
    assert sentence(made, NAMES).startswith(text)
