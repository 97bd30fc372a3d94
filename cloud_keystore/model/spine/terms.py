"""Which session broker a keystore asks: one, or a simulator within the process. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import hosts
from cloud_keystore.model.pki.est import HTTPS_PORT, LONGEST_URL, URL


@dataclass(frozen=True, slots=True)
class SpineTerms:
    """Where tickets are asked for. Files are PEM: those by which the broker is known (none: those
    of this computer), and the keystore's own certificate and key there. A simulator knows the
    tickets of a file, and has no address.
    """

    url: str = ""
    roots: str = ""
    certificate: str = ""
    private: str = ""
    simulated: str = ""

    def __post_init__(self) -> None:
        """Raise InvalidInput unless there is one way, and no other."""
        if bool(self.url) is bool(self.simulated):
            raise InvalidInput("name a session broker or a file of simulated tickets: one of them")
        if bool(self.certificate) is not bool(self.private):
            raise InvalidInput("a certificate for the broker goes with its key: name both files")
        if self.url:
            _ = place(self.url)


def place(url: str) -> tuple[tuple[str, int], str]:
    """Host and port of a broker, and the path before its own. Raises InvalidInput."""
    found = URL.fullmatch(url)
    host = "" if found is None else found["host"].removeprefix("[").removesuffix("]")
    port = HTTPS_PORT if found is None else int(found["port"] or HTTPS_PORT)
    known = hosts.number(host) is not None or hosts.domain(host) == host
    issuance = found is not None and found["issuance"]
    if found is None or issuance or not known or port >= 1 << 16 or len(url) > LONGEST_URL:
        raise InvalidInput(
            "the address of a session broker is one such as https://broker.example.org, in lower "
            "case, without user and query"
        )
    return (host, port), found["path"].rstrip("/")
