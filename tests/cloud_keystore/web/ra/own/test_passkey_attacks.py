"""Log-in by passkeys at the pages, and what attackers get there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest
from starlette.types import ASGIApp

from cloud_keystore.model.people import Identity
from cloud_keystore.web.proofs import decoded, encoded
from cloud_keystore.web.ra.visiting import PASSKEY, PASSKEY_ASKED
from cloudcard_tools.authenticator import passkey
from cloudcard_tools.authenticator.passkey import SoftwarePasskey
from support.keystore_world import World
from support.rest import Answer
from support.site import site
from support.visitor import Visitor

OWN = "/ra/my-log-in"
SCRIPT = "<script>alert(1)</script>"


def asked(told: Answer) -> Mapping[str, str]:
    """What a script is told to ask for."""
    assert told.status == 200, told.body
    said = json.loads(told.body)
    assert isinstance(said, dict)
    return said


def add(visitor: Visitor, name: str = "Key ring") -> SoftwarePasskey:
    """Add a passkey as the page does."""
    said = asked(visitor.post(f"{OWN}/asked"))
    own = passkey.new(said["rp_id"], said["origin"], decoded(said["user_handle"]))
    made = own.create(decoded(said["challenge"]))
    told = visitor.post(
        OWN,
        name=name,
        challenge=said["challenge"],
        attestation_object=encoded(made.attestation_object),
        client_data=encoded(made.client_data),
    )
    assert told.status == 303, told.body
    assert "The passkey is added" in visitor.page(told.fields["location"])
    return own


def answered(visitor: Visitor, own: SoftwarePasskey) -> dict[str, str]:
    """The form that the page sends to log in."""
    said = asked(visitor.post(PASSKEY_ASKED, token=False))
    made, _ = own.get(decoded(said["challenge"]))
    return {
        "challenge": said["challenge"],
        "credential_id": encoded(made.credential_id),
        "user_handle": encoded(own.user_handle),
        "authenticator_data": encoded(made.authenticator_data),
        "client_data": encoded(made.client_data),
        "signature": encoded(made.signature),
    }


def test_a_passkey_is_added_logs_in_and_is_removed(
    application: ASGIApp, visitor: Visitor, olga: Identity
) -> None:
    assert "You have no passkeys yet." in visitor.page(OWN)
    own = add(visitor)
    other = Visitor(application)
    told = other.post(PASSKEY, token=False, next="/ra/people?q=x", **answered(other, own))
    assert (told.status, told.fields["location"]) == (303, "/ra/people?q=x")
    other.take(told)
    page = other.page(OWN)
    assert olga.display_name in page
    assert "Key ring" in page
    (passkey_id,) = set(re.findall(rf"{OWN}/([0-9a-f-]{{36}})/", page))
    assert "Remove the passkey Key ring?" in other.page(f"{OWN}/{passkey_id}/remove")
    removed = other.post(f"{OWN}/{passkey_id}/remove")
    assert (removed.status, removed.fields["location"]) == (303, OWN)
    for each in (other, visitor):  # whoever has the passkey can be logged in
        assert each.get(OWN).fields["location"].startswith("/ra/log-in")
    refused = other.post(PASSKEY, token=False, **answered(other, own))
    assert refused.status == 403
    assert "set-cookie" not in refused.fields


def test_nobody_gives_an_operator_a_secret_to_log_in_with(
    application: ASGIApp, visitor: Visitor
) -> None:
    """Fixation: whatever the browser had, the log-in gives it a secret that is new."""
    own = add(visitor)
    planted = "ccpage_" + "A" * 43
    victim = Visitor(application, secret=planted)
    victim.take(victim.post(PASSKEY, token=False, **answered(victim, own)))
    assert victim.secret not in ("", planted, visitor.secret)
    assert victim.get("/ra/people").status == 200
    assert Visitor(application, planted).get("/ra/people").status == 303


def test_an_answer_is_taken_once(application: ASGIApp, visitor: Visitor) -> None:
    """Replay, also from another browser."""
    own = add(visitor)
    victim, thief = Visitor(application), Visitor(application)
    form = answered(victim, own)
    assert victim.post(PASSKEY, token=False, **form).status == 303
    told = thief.post(PASSKEY, token=False, **form)
    assert told.status == 403
    assert "set-cookie" not in told.fields
    assert "Error: Log in" in told.body.decode()


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"content-type": "application/json"},
        {"host": "evil.example"},
    ],
)
def test_other_sites_do_nothing(
    application: ASGIApp, visitor: Visitor, sent: dict[str, str]
) -> None:
    """Foreign origins: neither do they log somebody in, nor do they add a passkey."""
    own = add(visitor)
    form, token = answered(Visitor(application), own), visitor.form_token()
    attacker = Visitor(application, sent=sent)
    for path, said in ((PASSKEY, form), (PASSKEY_ASKED, {})):
        assert attacker.post(path, token=False, **said).status in (400, 403, 421)
    visitor.sent = sent
    for path in (f"{OWN}/asked", OWN):
        assert visitor.post(path, token=token).status in (400, 403, 421)


@pytest.mark.parametrize("path", [OWN, f"{OWN}/asked", f"{OWN}/x/remove"])
def test_only_who_has_logged_in_adds_passkeys(
    application: ASGIApp, visitor: Visitor, path: str
) -> None:
    told = Visitor(application).post(path, token=False)
    assert told.status == 303
    assert told.fields["location"].startswith("/ra/log-in")
    for token in (False, "A" * 43):
        assert visitor.post(path, token=token).status == 403


@pytest.mark.parametrize("text", ["", "?", SCRIPT, "A" * 40_000])
def test_what_cannot_be_read_logs_in_nobody(
    application: ASGIApp, visitor: Visitor, text: str
) -> None:
    form = answered(visitor, add(visitor))
    stranger = Visitor(application)
    for name in form:
        told = stranger.post(PASSKEY, token=False, **{**form, name: text})
        assert told.status == 403, name
        assert "set-cookie" not in told.fields
        assert "alert(1)" not in told.body.decode()


def test_passkeys_are_not_tried_for_long(world: World) -> None:
    stranger = Visitor(site(world))
    answers = [stranger.post(PASSKEY, token=False).status for _ in range(40)]
    assert answers[0] == 403
    assert answers[-1] == 429


def test_a_name_is_never_markup(visitor: Visitor) -> None:
    add(visitor, SCRIPT)
    text = visitor.page(OWN)
    assert SCRIPT not in text
    assert "&lt;script&gt;" in text
    refused = visitor.post(OWN, name=SCRIPT, challenge="?").body.decode()
    assert SCRIPT not in refused
    assert "Error: My log-in" in refused


def test_a_log_in_leads_nowhere_else(application: ASGIApp, visitor: Visitor) -> None:
    form = answered(visitor, add(visitor))
    told = Visitor(application).post(PASSKEY, token=False, next="https://evil.example", **form)
    assert told.fields["location"] == "/ra"
