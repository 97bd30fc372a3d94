"""Holders of a real keystore log in at the provider with their phones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509

from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.simulate import faults
from cloudcard_tools.simulate.application import Simulators
from cloudcard_tools.simulate.cards import Cards
from cloudcard_tools.simulate.cis2 import places
from cloudcard_tools.simulate.directory import Directory
from cloudcard_tools.simulate.exchange import Response
from cloudcard_tools.simulate.phones import Phones, Ring
from support.keystore_process import PASSCODE, KeystoreProcess
from support.simulators import PUBLISHED, Browser, Town, authorize_url, told, waiting

EMAIL = "ada@example.org"


class Watched(Phones):
    """Remembers who was rung."""

    last: Ring

    def ring(self, user: str, now: datetime) -> Ring:
        self.last = super().ring(user, now)
        return self.last


@dataclass
class Ward:
    """A provider that is a workstation of a keystore, and a holder with a phone."""

    town: Town
    phones: Watched
    phone: Phone

    def ring(self, browser: Browser, **asked: str) -> Response:
        """Ask to log in, and have the phone rung; the page with the number."""
        form = {"waiting": waiting(browser.authorize(**asked)), "user": EMAIL}
        return browser.go(self.town.at.at(places.PHONE), form)

    def approve(self, request_id: str) -> None:
        self.phone.approve(self.phone.find(request_id), self.phones.last.number)

    def again(self, browser: Browser, page: Response) -> Response:
        """What the browser loads after a while."""
        url = page.body.decode().split(";url=")[1].partition('"')[0]
        return browser.follow(browser.go(url))

    def state(self) -> int:
        """Of the last sign-in, at the keystore."""
        stream = self.phones.stub.WatchSignIn(
            pb.WatchSignInRequest(sign_in_id=self.phones.last.sign_in_id)
        )
        state = next(stream).sign_in.state
        stream.cancel()
        return state


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("ward")
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery)
        user_id, phone = keystore.holder("Ada", EMAIL)
        keystore.card(user_id, phone)
        stub = WorkstationServiceStub(identity.channel(keystore.workstation("provider")))
        phones = Watched(stub)
        yield Ward(town(keystore, phones, folder), phones, Phone(phone, identity.channel(phone)))


def town(keystore: KeystoreProcess, phones: Phones, folder: Path) -> Town:
    """Simulators that know the keystore's authority of cards and its list."""
    for command in ("show", "crl"):
        asked = ["ra", "ca", command, "cloudcard card CA", "--export", str(folder / command)]
        done = CliRunner().invoke(cloudcard, [*asked, "--identity", str(keystore.operator.folder)])
        assert done.exit_code == 0, done.output
    authority = x509.load_pem_x509_certificate((folder / "show").read_bytes())
    revoked = x509.load_der_x509_crl((folder / "crl").read_bytes())
    made = Town(now=datetime.now(UTC))
    made.simulators = Simulators(
        made.at,
        made.simulators.clients,
        Cards([authority], lambda: [revoked], Directory(1)),
        PUBLISHED,
        lambda _url: b"",
        phones=phones,
    )
    return made


def test_an_approval_is_a_log_in_of_the_second_level(ward: Ward) -> None:
    """CIS2 calls it AAL2. The card is given back at once."""
    browser = Browser(ward.town)
    page = ward.ring(browser, acr_values="AAL2_OR_AAL3_ANY")
    assert ward.phones.last.number in page.body.decode()
    assert ward.again(browser, page).body == page.body
    ward.approve(ward.phones.last.sign_in_id)
    claims = ward.town.id_token(told(ward.again(browser, page))["code"])
    assert claims["authentication_assurance_level"] == "2"
    assert (claims["acr"], claims["amr"]) == ("AAL2_OR_AAL3_ANY", ["AUTHENTICATOR"])
    assert ward.state() == pb.SIGN_IN_STATE_ENDED


def test_with_the_passcode_the_cards_key_signs(ward: Ward) -> None:
    """AAL3: the keystore uses key 9A after the passcode and another approval."""
    browser = Browser(ward.town)
    page = ward.ring(browser, acr_values="AAL3_ANY")
    ward.approve(ward.phones.last.sign_in_id)
    form = {"waiting": waiting(ward.again(browser, page)), "passcode": "000000"}
    wrong = browser.go(ward.town.at.at(places.PASSCODE), form)
    assert "tries left: " in wrong.body.decode()
    page = browser.go(ward.town.at.at(places.PASSCODE), {**form, "passcode": PASSCODE})
    assert ward.phones.last.number in page.body.decode()
    assert ward.again(browser, page).body == page.body
    ward.approve(ward.phones.last.operation_id)
    claims = ward.town.id_token(told(ward.again(browser, page))["code"])
    assert claims["authentication_assurance_level"] == "3"
    assert claims["amr"] == ["N3_SMARTCARD"]
    assert ward.state() == pb.SIGN_IN_STATE_ENDED


def test_workstations_are_not_told_who_denies(ward: Ward) -> None:
    """Else they learn that there is somebody: the request waits to its end."""
    browser = Browser(ward.town)
    page = ward.ring(browser, acr_values="AAL2_ANY")
    ward.phone.deny(ward.phone.find(ward.phones.last.sign_in_id))
    assert ward.again(browser, page).body == page.body
    form = {"waiting": waiting(browser.authorize(acr_values="AAL2_ANY")), "passcode": PASSCODE}
    answer = browser.go(ward.town.at.at(places.PASSCODE), form)
    assert answer.status == HTTPStatus.BAD_REQUEST


def test_a_request_that_has_ended_is_begun_again(ward: Ward) -> None:
    browser = Browser(ward.town)
    page = ward.ring(browser, acr_values="AAL2_ANY")
    ward.phones.leave(ward.phones.last)
    page = ward.again(browser, page)
    assert "The holder has not approved" in page.body.decode()
    assert waiting(page)


def test_a_revoked_card_is_given_back(ward: Ward) -> None:
    browser = Browser(ward.town)
    page = ward.ring(browser, acr_values="AAL2_ANY")
    ward.approve(ward.phones.last.sign_in_id)
    ward.town.simulators.faults = faults.parse(["revoked"])
    try:
        assert "revoked" in ward.again(browser, page).body.decode()
    finally:
        ward.town.simulators.faults = faults.parse([])
    assert ward.state() == pb.SIGN_IN_STATE_ENDED


def test_another_browser_does_not_go_on(ward: Ward) -> None:
    """Somebody who has seen the address of the page is not logged in by the holder's approval."""
    browser = Browser(ward.town)
    page = ward.ring(browser, acr_values="AAL2_ANY")
    ward.approve(ward.phones.last.sign_in_id)
    assert ward.again(Browser(ward.town), page).status == HTTPStatus.BAD_REQUEST
    assert told(ward.again(browser, page))["code"]


def test_at_the_end_all_cards_are_given_back(ward: Ward) -> None:
    browser = Browser(ward.town)
    ward.ring(browser, acr_values="AAL3_ANY")
    ward.approve(ward.phones.last.sign_in_id)
    assert ward.state() == pb.SIGN_IN_STATE_OPEN
    ward.phones.leave_all()
    assert ward.state() == pb.SIGN_IN_STATE_ENDED


def test_nobody_is_rung_without_a_keystore() -> None:
    browser = Browser(Town())
    page = browser.go(authorize_url(browser.town.at, acr_values="AAL2_ANY"))
    assert "phone" not in page.body.decode()
    form = {"waiting": waiting(page), "user": EMAIL}
    answer = browser.go(browser.town.at.at(places.PHONE), form)
    assert answer.status == HTTPStatus.NOT_FOUND
