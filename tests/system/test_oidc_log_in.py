"""An operator logs in to the pages of a real keystore, which are behind a real proxy, by a real
OpenID provider, in processes of their own: the simulated CIS2, which knows people by their cards.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding

from cloudcard.registry.v1 import directories_pb2, directories_pb2_grpc, identities_pb2
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.simulate.cis2 import places
from support import proxy
from support.authority import Authority
from support.keystore_process import KeystoreProcess
from support.simulators import SECRET, card, revocation_list, waiting_in

SECONDS = 120  # for a process, on a busy computer
CLIENT = "keystore"
SUBJECT = "555073168108"  # the holder of the card, there


@dataclass
class Site:
    """A keystore, a provider, and a browser that keeps cookies as it is told."""

    origin: str
    keystore: KeystoreProcess
    known: Path
    """By which the proxy is known."""
    cards: str
    trust: Path
    held: Path
    there: requests.Session = field(default_factory=requests.Session)
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> requests.Response:
        """A page of the keystore."""
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        told = requests.get(
            f"{self.origin}{path}",
            headers={"Cookie": kept},
            verify=str(self.known),
            allow_redirects=False,
            timeout=SECONDS,
        )
        for each in told.raw.headers.getlist("set-cookie"):
            name, _, value = each.partition(";")[0].partition("=")
            self.cookies[name] = value
        return told

    def log_in(self, url: str) -> str:
        """Log in with the card where the keystore has sent the browser; where that sends back."""
        told = self.ask(url)
        if "location" not in told.headers:
            said = {"waiting": waiting_in(told.text)}
            told = self.there.get(
                self.cards,
                params=said,
                cert=str(self.held),
                verify=str(self.trust),
                allow_redirects=False,
                timeout=SECONDS,
            )
        while not (to := told.headers["location"]).startswith(self.origin):
            told = self.ask(to)
        return to.removeprefix(self.origin)

    def ask(self, url: str) -> requests.Response:
        return self.there.get(url, verify=str(self.trust), allow_redirects=False, timeout=SECONDS)

    def settled(self, path: str) -> requests.Response:
        """What comes of an answer once the provider was asked."""
        told = self.get(path)
        for _ in range(SECONDS * 4):
            if "refresh" not in told.headers:
                break
            time.sleep(0.25)
            told = self.get(told.headers["refresh"].partition("url=")[2])
        return told


@pytest.fixture
def site(tmp_path: Path, nursery: Nursery) -> Site:
    authority = Authority()
    crl = tmp_path / "cards.crl"
    crl.write_bytes(revocation_list(authority).public_bytes(Encoding.DER))
    main, cards = free_ports(2)
    (tmp_path / "front").mkdir()
    front = proxy.start(nursery, tmp_path / "front")
    origin = f"https://localhost:{front.port}"
    client = {
        "client_id": CLIENT,
        "client_secret": SECRET,
        "redirect_uris": [f"{origin}/ra/log-in/openid/answer"],
    }
    (tmp_path / "clients.json").write_text(json.dumps([client]))
    nursery.start_python(
        "simulators",
        *("-m", "cloudcard_tools", "simulate", "nhs", "--data", str(tmp_path / "data")),
        *("--clients", str(tmp_path / "clients.json"), "--crl", str(crl)),
        *("--authority", str(authority.write(tmp_path))),
        *("--listen", f"127.0.0.1:{main}", "--card-listen", f"127.0.0.1:{cards}"),
    ).wait_for("Trust this", timeout=SECONDS)
    trust = tmp_path / "data" / "authority.pem"
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(f"{SECRET}\n")
    options = (
        *front.options,
        *("--web-oidc-issuer", f"https://localhost:{main}{places.REALM}"),
        *("--web-oidc-client-id", CLIENT, "--web-oidc-secret-file", str(secret)),
        *("--web-oidc-roots", str(trust)),
    )
    keystore = KeystoreProcess(tmp_path, nursery, options)
    url = f"https://localhost:{cards}{places.CARD}"
    return Site(origin, keystore, front.authority, url, trust, card(authority).write(tmp_path))


def identify(site: Site) -> None:
    """Say that the operator Olga is who the provider knows."""
    invited = site.keystore.registry.identities.CreateOperator(
        identities_pb2.CreateOperatorRequest(display_name="Olga Operator")
    )
    olga = spending.enrol(invited.token.text, site.keystore.folder / "olga", "operator")
    person, _ = site.keystore.holder("Ada Lovelace")
    with identity.channel(site.keystore.operator) as channel:
        directories_pb2_grpc.DirectoryServiceStub(channel).SetOperatorPerson(
            directories_pb2.SetOperatorPersonRequest(
                operator_id=olga.id, user_id=person, subject=SUBJECT
            ),
            timeout=SECONDS,
        )


def leave(site: Site) -> str:
    """Where at the provider the keystore sends the browser, once it has asked there itself."""
    for _ in range(SECONDS * 2):
        told = site.get("/ra/log-in/openid?next=/ra/people")
        if told.status_code == 303:
            return told.headers["location"]
        time.sleep(0.5)
    raise AssertionError(told.text)


def test_an_operator_logs_in_by_a_provider(site: Site) -> None:
    """Nobody whom no RA manager has named; then the named one, once."""
    back = site.log_in(leave(site))
    told = site.settled(back)
    assert told.status_code == 403
    assert "knows no operator by that" in told.text
    identify(site)
    back = site.log_in(leave(site))
    assert urlsplit(back).path == "/ra/log-in/openid/answer"
    told = site.settled(back)
    assert (told.status_code, told.headers.get("location")) == (303, "/ra/people")
    assert "Olga Operator" in site.get("/ra/people").text
    assert site.get(back).status_code == 403
