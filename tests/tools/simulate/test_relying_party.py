"""Relying parties that others wrote, from PyPI and from npm, log somebody in at the real process,
whose card is a client certificate over mutual TLS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding
from cryptojwt.exception import BadSignature, UnsupportedAlgorithm
from idpyoidc.exception import MessageException, NotForMe
from idpyoidc.message.oidc import EXPError

from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.simulate.cis2 import places
from support.authority import Authority
from support.npm_party import NpmParty, PartyRefuses, npm_party, private
from support.openid_party import SCOPES, SECONDS, Party, back_channel
from support.simulators import (
    CLIENT,
    LOGGED_OUT,
    RETURN,
    RSA,
    Held,
    card,
    revocation_list,
    waiting_in,
)

# The party fetches keys without a look at the server's certificate, whatever it is told.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

SECOND = "of-npm"


@dataclass
class Place:
    """The process, and a browser with a card in front of it."""

    issuer: str
    card_url: str
    trust: Path
    held: Path
    party: Party
    heard: Queue[bytes]
    second: NpmParty
    browser: requests.Session = field(default_factory=requests.Session)

    @property
    def origin(self) -> str:
        return self.issuer.removesuffix(places.REALM)

    def log_in(self, url: str) -> str:
        """Log in with the card where a party has sent somebody; where the last page sends."""
        page = self.get(url)
        answer = self.get(
            self.card_url, params={"waiting": waiting_in(page.text)}, cert=str(self.held)
        )
        return self.follow(answer)

    def follow(self, answer: requests.Response) -> str:
        """Choose the first role if there is a choice; where the last page sends."""
        while (there := answer.headers.get("location", "")).startswith(self.origin):
            answer = self.get(there)
        if not there:
            return self.choose(answer, 0)
        return there

    def choose(self, page: requests.Response, which: int) -> str:
        role_id = page.text.split('name="role" value="')[1 + which].partition('"')[0]
        form = {"waiting": waiting_in(page.text), "role": role_id}
        answer = self.browser.post(
            self.origin + places.ROLE,
            form,
            verify=str(self.trust),
            allow_redirects=False,
            timeout=SECONDS,
        )
        return answer.headers["location"]

    def set_faults(self, words: str) -> None:
        answer = self.browser.post(
            f"{self.origin}/simulator/faults",
            {"faults": words},
            verify=str(self.trust),
            allow_redirects=False,
            timeout=SECONDS,
        )
        assert answer.status_code == 303

    def get(self, url: str, **more: object) -> requests.Response:
        return self.browser.get(  # type: ignore[arg-type]
            url, verify=str(self.trust), allow_redirects=False, timeout=SECONDS, **more
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("simulators")
    authority, heard = Authority(), Queue[bytes]()
    held: Held = card(authority)
    crl = folder / "cards.crl"
    crl.write_bytes(revocation_list(authority).public_bytes(Encoding.DER))
    main, cards = free_ports(2)
    trust = folder / "data" / "authority.pem"
    party = Party(f"https://localhost:{main}{places.REALM}", trust)
    with Nursery(folder / "logs") as nursery, back_channel(heard) as told_at:
        client = {
            "client_id": CLIENT,
            "redirect_uris": [RETURN],
            "post_logout_redirect_uris": [LOGGED_OUT],
            "jwks": party.jwks,
            "backchannel_logout_uri": told_at,
        }
        second = {
            "client_id": SECOND,
            "redirect_uris": [RETURN],
            "post_logout_redirect_uris": [LOGGED_OUT],
            "jwks": {"keys": [RSA.as_dict(private=False)]},
        }
        (folder / "clients.json").write_text(json.dumps([client, second]))
        child = nursery.start_python(
            "simulators",
            *("-m", "cloudcard_tools", "simulate", "nhs", "--data", str(folder / "data")),
            *("--clients", str(folder / "clients.json"), "--crl", str(crl)),
            *("--authority", str(authority.write(folder))),
            *("--listen", f"127.0.0.1:{main}", "--card-listen", f"127.0.0.1:{cards}"),
        )
        child.wait_for("Trust this", timeout=60)
        url = f"https://localhost:{cards}{places.CARD}"
        (folder / "npm").mkdir()
        with requests.Session() as browser, npm_party(folder / "npm", trust) as other:
            other.ask(
                "discover",
                issuer=party.issuer,
                client_id=SECOND,
                redirect_uri=RETURN,
                logged_out=LOGGED_OUT,
                jwks=private(RSA),
            )
            yield Place(party.issuer, url, trust, held.write(folder), party, heard, other, browser)


def test_a_card_logs_in_changes_role_and_is_logged_out(place: Place) -> None:
    """As a client meets the provider in a day."""
    first = place.party.finish(place.log_in(place.party.begin()))
    token = first["id_token"]
    assert token["authentication_assurance_level"] == "3"  # type: ignore[index]
    info = first["userinfo"]
    roles = [each["person_roleid"] for each in info["nhsid_nrbac_roles"]]  # type: ignore[index]
    assert info["selected_roleid"] == roles[0]  # type: ignore[index]

    page = place.get(place.party.begin(scope=[*SCOPES, "changedrole"]))
    second = place.party.finish(place.choose(page, 1))
    assert second["userinfo"]["selected_roleid"] == roles[1]  # type: ignore[index]
    assert second["id_token"]["sid"] == token["sid"]  # type: ignore[index]

    asked = place.party.handler.logout(str(second["state"]), post_logout_redirect_uri=LOGGED_OUT)
    answer = place.get(asked["url"])
    assert answer.headers["location"].startswith(LOGGED_OUT)
    assert place.party.told(place.heard.get(timeout=SECONDS)) == second["state"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("issuer", ValueError),
        ("audience", NotForMe),
        ("nonce", ValueError),
        ("expired", EXPError),
        ("signature", BadSignature),
        ("unsigned", UnsupportedAlgorithm),
        ("malformed", json.JSONDecodeError),
    ],
)
def test_what_is_wrong_on_demand_is_refused(
    place: Place, fault: str, said: type[Exception]
) -> None:
    """By a party that checks what it gets."""
    returned = place.log_in(place.party.begin(prompt="login"))
    place.set_faults(fault)
    try:
        with pytest.raises(said):
            place.party.finish(returned)
    finally:
        place.set_faults("")


ASKED = {"scope": " ".join([*SCOPES, "changedrole"]), "prompt": "login"}


def returned_to_second(place: Place) -> str:
    """Log in for the party from npm, in a browser that was nowhere else; where the last page
    sends.
    """
    place.browser.cookies.clear()
    return place.log_in(str(place.second.ask("begin", **ASKED)["url"]))


def test_a_party_from_npm_logs_in_and_out(place: Place) -> None:
    found = place.second.ask("finish", returned=returned_to_second(place))
    claims, info = found["claims"], found["userinfo"]
    assert claims["authentication_assurance_level"] == "3"  # type: ignore[index]
    assert info["selected_roleid"] == claims["selected_roleid"]  # type: ignore[index]
    asked = place.second.ask("leave", id_token=found["id_token"])
    assert place.get(str(asked["url"])).headers["location"].startswith(LOGGED_OUT)
    again = str(place.second.ask("begin", scope="openid", prompt="none")["url"])
    with pytest.raises(PartyRefuses, match="login_required"):
        place.second.ask("finish", returned=place.get(again).headers["location"])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("issuer", "unexpected iss value"),
        ("audience", "aud mismatch"),
        ("nonce", "nonce mismatch"),
        ("expired", "JWT expired"),
        ("signature", "failed to validate JWT signature"),
        ("unsigned", "unexpected JWT alg"),
        ("malformed", "JSON"),
    ],
)
def test_what_is_wrong_on_demand_is_refused_by_it_too(place: Place, fault: str, said: str) -> None:
    returned = returned_to_second(place)
    place.set_faults(fault)
    try:
        with pytest.raises(PartyRefuses, match=said):
            place.second.ask("finish", returned=returned)
    finally:
        place.set_faults("")


def test_a_code_is_for_the_party_that_asked(place: Place) -> None:
    """It is bound to the party, its state and its proof key (RFC 7636)."""
    returned = returned_to_second(place)
    place.second.ask("begin", scope="openid")
    with pytest.raises(PartyRefuses, match="state mismatch"):
        place.second.ask("finish", returned=returned)


def test_a_logout_token_for_another_client_is_refused(place: Place) -> None:
    assert place.party.finish(place.log_in(place.party.begin(prompt="login")))["userinfo"]
    place.set_faults("audience")
    place.browser.post(f"{place.origin}/simulator/end", verify=str(place.trust), timeout=SECONDS)
    place.set_faults("")
    with pytest.raises(MessageException):
        place.party.told(place.heard.get(timeout=SECONDS))


def test_without_a_card_of_the_authority_nobody_comes_in(place: Place, tmp_path: Path) -> None:
    """The stranger's certificate does not get beyond TLS."""
    url = place.party.begin(prompt="login")
    page = place.get(url)
    stranger = card(Authority()).write(tmp_path)
    with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
        place.get(place.card_url, params={"waiting": waiting_in(page.text)}, cert=str(stranger))
    answer = place.get(place.card_url, params={"waiting": waiting_in(page.text)})
    assert answer.status_code == 403
