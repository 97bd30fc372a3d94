"""What a page and its keystore say to each other of what they can, the next certificate of a
browser's key, and what its holder is asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import IDENTITY_LIFETIME, Identity, User
from cloud_keystore.model.policies import Policy
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.operations.ringing import Ringing
from cloud_keystore.people.alerts import Alerts
from cloud_keystore.people.portal.assents import Assents
from cloud_keystore.web.proofs import decoded, encoded
from cloud_keystore.web.standing import CAPABLE, CLIENT, OFFERS, capabilities
from cloud_keystore.web.streams import Streams, Watch
from support.keystore_world import Enrolled, World, csr, spki
from support.site import BrowserDevice, site

TERMS, RENEWAL, SURVEY, CARDS, SIGN_INS = (
    f"/authenticator/v1/{each}" for each in ("terms", "renewal", "survey", "cards", "sign-ins")
)


@pytest.fixture
def device(world: World, ada: tuple[User, Enrolled]) -> BrowserDevice:
    return BrowserDevice.of(site(world), ada[1])


def terms(device: BrowserDevice, said: str = "") -> dict[str, object]:
    return dict(device.send("GET", TERMS, sent={CLIENT.lower(): said} if said else {}).json)


def test_a_page_is_told_what_the_keystore_offers_and_says_what_it_is(
    world: World, ada: tuple[User, Enrolled], device: BrowserDevice
) -> None:
    """DEV-01: version and platform of a page are kept at each launch, as those of programs."""
    told = terms(device, "cloudcard/9.9.9 (android 14; sign-in, documents)")
    assert told == {
        "offers": list(OFFERS),
        "is_outdated": False,
        "public_key": encoded(spki(ada[1].private)),
        "renewal_is_due": False,
    }
    contacts = world.identities.contacts([ada[1].identity.id], actor=world.actor)
    software = contacts[ada[1].identity.id].software
    assert (software.version, software.platform, software.platform_version) == (
        *("9.9.9", "android"),
        "14",
    )


@pytest.mark.parametrize(
    ("said", "is_outdated"),
    [("cloudcard/0.0.9 (ios 17)", True), ("cloudcard/0 (ios)", True), ("", False), ("x/1", False)],
)
def test_a_page_that_is_too_old_is_told_and_one_that_says_nothing_is_not(
    device: BrowserDevice, said: str, is_outdated: bool
) -> None:
    """DEV-04: of what is not known, nobody says that it is not compatible."""
    assert terms(device, said)["is_outdated"] is is_outdated


@dataclass
class Seen:
    """What a stream asks for of what waits."""

    asked: list[tuple[bool, bool]] = field(default_factory=list)

    def waiting(self, _device: Identity, *, sign_ins: bool, documents: bool) -> list[object]:
        self.asked.append((sign_ins, documents))
        return []

    def told_to(self, _device: Identity) -> list[object]:
        return []


class Unasked:
    """Of a holder who does nothing at the portal."""

    def waiting(self, _device: Identity) -> tuple[object, ...]:
        return ()


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("", (True, True)),  # a page from before pages said it
        ("cloudcard/0.1.0 (ios 17; sign-in, documents, stamps)", (True, True)),
        ("cloudcard/0.1.0 (ios 17; documents)", (False, True)),
        ("cloudcard/0.1.0 (ios 17)", (False, False)),
        ("\x00", (False, False)),
    ],
)
def test_a_page_is_told_only_of_what_it_can_show(
    ada: tuple[User, Enrolled], said: str, asked: tuple[bool, bool]
) -> None:
    seen = Seen()
    streams = Streams(
        cast(Ringing, seen),
        cast(Alerts, seen),
        cast(Assents, Unasked()),
        cast(Wakeups, None),
        lambda _caller: pytest.fail("not a stream"),
        asyncio.Semaphore(1),
        asyncio.Semaphore(1),
    )
    assert asyncio.run(Watch(streams, ada[1].identity, capabilities(said)).changes()) == []
    assert seen.asked == [asked]
    assert capabilities("") == CAPABLE


def test_the_same_key_gets_its_next_certificate_in_time(
    world: World, device: BrowserDevice
) -> None:
    world.clock.forward(days=(IDENTITY_LIFETIME * 2 / 3).days)
    assert terms(device)["renewal_is_due"] is False
    world.clock.forward(days=2)
    assert terms(device)["renewal_is_due"] is True
    told = device.send("POST", RENEWAL, {"csr": encoded(csr(device.private))})
    renewed = replace(
        device, certificate_sha256=sha256(decoded(str(told.json["certificate"]))).digest()
    )
    assert terms(renewed)["renewal_is_due"] is False
    # The one before is good for a day, in which others of its tabs find the next one.
    assert device.send("GET", CARDS).status == 200
    world.clock.forward(days=1)
    assert device.send("GET", CARDS).kind == "identity-rejected"
    assert renewed.send("GET", CARDS).status == 200
    kinds = [each.kind for each in world.journal()]
    assert Kind.IDENTITY_RENEWED in kinds
    assert Kind.IDENTITY_REKEYED in kinds


def test_nobody_elses_key_is_certified(world: World, device: BrowserDevice) -> None:
    other = {"csr": encoded(csr(ec.generate_private_key(ec.SECP256R1())))}
    assert device.send("POST", RENEWAL, other).status == 422
    own = csr(device.private)
    for wrong in (b"", own[:-1], own[:-1] + bytes([own[-1] ^ 1])):
        assert device.send("POST", RENEWAL, {"csr": encoded(wrong)}).status == 422
    assert Kind.IDENTITY_RENEWED not in [each.kind for each in world.journal()]


def test_a_holder_is_asked_where_a_policy_says_so_and_answers_once(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, device: BrowserDevice
) -> None:
    """COM-07: off by default, and never in the way."""
    serial = world.card(ada[0])
    assert device.send("GET", SURVEY).json == {"is_due": False, "card_serial": ""}
    world.set_policy(Policy(survey_after=1))
    operation = world.ask(serial, pc)
    world.decide(operation, ada[1])
    world.perform(operation, pc)
    assert device.send("GET", SURVEY).json == {"is_due": True, "card_serial": serial}
    for wrong in ({"score": 11}, {"score": -1}, {"score": "9"}, {"comment": "no score"}):
        assert device.send("POST", SURVEY, wrong).status == 422
    said = {"score": 9, "comment": "quick"}
    assert device.send("POST", SURVEY, said).json == {"is_answered": True}
    assert device.send("GET", SURVEY).json["is_due"] is False
    assert device.send("POST", SURVEY, said).status == 409


def test_holders_see_the_end_of_a_card_in_days_from_90_on(
    world: World, ada: tuple[User, Enrolled], device: BrowserDevice
) -> None:
    serial = world.card(ada[0])
    end = world.find(serial).card.expire_time

    def left() -> object:
        [card] = device.send("GET", CARDS).json["cards"]  # type: ignore[misc]
        return card["days_left"]

    world.clock.now = end - timedelta(days=90, seconds=1)
    assert left() is None
    world.clock.now = end - timedelta(days=90)
    assert left() == 90
    world.clock.now = end - timedelta(hours=1)
    assert left() == 0


def test_a_card_in_a_reader_is_taken_out_by_its_holder_alone(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, device: BrowserDevice
) -> None:
    serial = world.card(ada[0])
    seen = world.signing_in.begin(b"r" * 16, "", pc.identity)  # with a QR code
    world.admit(seen, ada[1])
    [told] = device.send("GET", SIGN_INS).json["sign_ins"]  # type: ignore[misc]
    assert (told["card_serial"], told["workstation"], told["site"]) == (
        *(serial, "WARD7-PC3"),
        "Ward 7",
    )
    stranger = BrowserDevice.of(site(world), world.user("Eve Ek")[1])
    path = f"{SIGN_INS}/{told['id']}/end"
    assert stranger.send("GET", SIGN_INS).json == {"sign_ins": []}
    assert stranger.send("POST", path).status == 404
    assert told["id"] == seen.sign_in.id
    assert device.send("POST", path).json == {"is_ended": True}
    assert device.send("GET", SIGN_INS).json == {"sign_ins": []}
