"""Bells: whose page is rung, and where; at no other place than a push service (AUTH-01)."""

from __future__ import annotations

import pytest

from cloud_keystore.model.errors import IdentityRejected, InvalidInput
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.outbox.bells import KNOWN, Address, PushTerms, checked
from cloud_keystore.model.people import User
from cloud_keystore.storage.outbox import bells as rows
from cloud_keystore.web.proofs import encoded
from support.keystore_world import Enrolled, World
from support.push_browser import PushBrowser
from support.site import BrowserDevice, site

ENDPOINT = "https://fcm.googleapis.com/fcm/send/secret-of-this-browser"
CALL = "/authenticator/v1/bell"


def sealed(world: World, device_id: str) -> bytes | None:
    with world.database.read() as connection:
        return rows.sealed_of(connection, device_id)


def test_a_bell_is_kept_sealed_and_the_journal_has_it(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    device, browser = ada[1].identity, PushBrowser()
    world.bells.hang(browser.address(ENDPOINT), device)
    world.clock.forward(minutes=1)
    world.bells.hang(browser.address(ENDPOINT), device)  # the page is opened again
    kept = sealed(world, device.id)
    assert kept is not None
    for secret in (b"secret-of-this-browser", browser.secret, browser.public):
        assert secret not in kept
    moved = browser.address("https://web.push.apple.com/other")
    world.bells.hang(moved, device)
    world.bells.take_down(device)
    world.bells.take_down(device)
    assert sealed(world, device.id) is None
    told = world.journal(Kind.BELL_HUNG, Kind.BELL_GONE)
    assert [(each.kind, each.device_id, each.actor) for each in told] == [
        (kind, device.id, device.actor) for kind in (Kind.BELL_HUNG, Kind.BELL_HUNG, Kind.BELL_GONE)
    ]
    assert [(each.details.get("old_host"), each.details["host"]) for each in told] == [
        ("", "fcm.googleapis.com"),
        ("fcm.googleapis.com", "web.push.apple.com"),
        (None, "web.push.apple.com"),
    ]
    assert "secret-of-this-browser" not in str(told) + repr(moved)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://169.254.169.254/latest",
        "https://2130706433/x",
        "https://localhost/x",
        "https://evil.example/x",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evilfcm.googleapis.com/x",
        "https://googleapis.com/x",
        "https://user@fcm.googleapis.com/x",
        "https://evil.example#.fcm.googleapis.com/",
        "https://evil.example\\.fcm.googleapis.com/",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com:22/",
        "https://fcm.googleapis.com./x",
        "https://-.push.apple.com/x",
        "https://fcm.googleapis.com/" + "x" * 1024,
        "",
    ],
)
def test_no_other_host_is_named(world: World, ada: tuple[User, Enrolled], endpoint: str) -> None:
    """The attack: a page names an address within the keystore's network, or one that looks like a
    push service's.
    """
    with pytest.raises(InvalidInput):
        world.bells.hang(PushBrowser().address(endpoint), ada[1].identity)
    assert sealed(world, ada[1].identity.id) is None


def test_which_services_are_called_is_a_setting() -> None:
    browser = PushBrowser()
    for each in KNOWN:
        assert checked(browser.address(f"https://a.b.{each}/x"), PushTerms()) == f"a.b.{each}"
    own = PushTerms(frozenset({"push.example.org"}), frozenset({"localhost"}))
    assert checked(browser.address("https://push.example.org/x"), own) == "push.example.org"
    assert checked(browser.address("https://localhost:8443/x"), own) == "localhost"
    with pytest.raises(InvalidInput):
        checked(browser.address(ENDPOINT), own)
    for wrong in ("com", "127.0.0.1", "https://push.example.org", "Push.example.org", "*.a.org"):
        with pytest.raises(InvalidInput):
            PushTerms(frozenset({wrong}))
    for wrong in ("https://localhost", "a b", "localhost:443"):
        with pytest.raises(InvalidInput):
            PushTerms(inside=frozenset({wrong}))


def test_keys_that_are_none_are_refused(world: World, ada: tuple[User, Enrolled]) -> None:
    good = PushBrowser()
    for key, secret in ((good.public, b"short"), (b"\4" * 65, good.secret), (b"", good.secret)):
        with pytest.raises(InvalidInput):
            world.bells.hang(Address(ENDPOINT, key, secret), ada[1].identity)


def test_a_phone_that_was_removed_has_no_bell(world: World, ada: tuple[User, Enrolled]) -> None:
    device, operator = ada[1].identity, world.operator().identity
    world.bells.hang(PushBrowser().address(ENDPOINT), device)
    world.devices.remove(device.id, "lost", operator)
    assert sealed(world, device.id) is None
    for call in (
        lambda: world.bells.hang(PushBrowser().address(ENDPOINT), device),
        lambda: world.bells.take_down(device),
    ):
        with pytest.raises(IdentityRejected):
            call()


def test_a_page_hangs_and_takes_down_its_own_bell(world: World, ada: tuple[User, Enrolled]) -> None:
    """N-2: that the call is answered tells the page that the keystore rings; another version's
    page does not ask, and another version's keystore does not know the call.
    """
    device, browser = BrowserDevice.of(site(world), ada[1]), PushBrowser()
    told = device.send("GET", CALL)
    assert (told.status, len(str(told.json["key"]))) == (200, 87)
    said = {
        "endpoint": ENDPOINT,
        "p256dh": encoded(browser.public),
        "auth": encoded(browser.secret),
    }
    told = device.send("POST", CALL, said)
    assert (told.status, told.json) == (200, {"is_rung": True})
    assert sealed(world, ada[1].identity.id) is not None
    told = device.send("POST", CALL, {**said, "endpoint": "https://127.0.0.1/"})
    assert (told.status, told.kind) == (422, "invalid-input")
    told = device.send("POST", f"{CALL}/end")
    assert (told.status, told.json) == (200, {"is_rung": False})
    assert sealed(world, ada[1].identity.id) is None
