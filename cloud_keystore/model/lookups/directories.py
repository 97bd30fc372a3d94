"""Account directories: where operators look up the Windows accounts of an organisation, by LDAP."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import hosts
from cloud_keystore.model.fields.accounts import account_name
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.lookups import filters

URL = re.compile(
    r"(?P<scheme>ldaps?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(:(?P<port>[1-9][0-9]{0,4}))?/?",
    re.ASCII,
)
PORTS = {"ldap": 389, "ldaps": 636}
LONGEST_URL = 300
LONGEST_NAME = 500  # a distinguished name, or that by which somebody binds
LARGEST_PEM = 64 * 1024
USERS = "(objectClass=user)"
SAM, UPN, MAIL = "sAMAccountName", "userPrincipalName", "mail"


@dataclass(frozen=True, slots=True)
class AccountDirectory:
    """Where the accounts of an organisation's people, and of those below it, are looked up."""

    url: str
    bind_dn: str  # by which operators bind; the password is theirs, and not here
    base_dn: str  # below which people are
    domain: str  # of Windows, to which the accounts belong
    narrowing: str = USERS  # what an entry must be besides, a filter
    anchors: bytes = b""  # PEM, by which the server is known; empty: by those of the computer
    sam: str = SAM  # the attributes' names
    upn: str = UPN
    mail: str = MAIL
    plain: bool = False  # without TLS, on one computer alone

    def __post_init__(self) -> None:
        """Raise InvalidInput for what is none."""
        host, _ = self.place
        if self.plain and not (self.url.startswith("ldap:") and is_loopback(host)):
            raise InvalidInput("plain is for ldap:// on this computer alone: leave it out")
        for word in ("bind_dn", "base_dn"):
            text = getattr(self, word)
            if text_field(word, text, LONGEST_NAME) != text:
                raise InvalidInput(f"{word} has blanks around it, or two of them: remove them")
        account_name(rf"{self.domain}\x")
        filters.parse(self.narrowing)
        for attribute in (self.sam, self.upn, self.mail):
            if not filters.ATTRIBUTE.fullmatch(attribute):
                raise InvalidInput(
                    f"an attribute is none of LDAP: give the name of one, such as {SAM}"
                )
        if len(self.anchors) > LARGEST_PEM:
            raise InvalidInput(f"anchors has {len(self.anchors)} bytes: at most {LARGEST_PEM} go")

    @property
    def place(self) -> tuple[str, int]:
        """Host and port. Raises InvalidInput if the address is none of LDAP."""
        found = URL.fullmatch(self.url)
        host = "" if found is None else found["host"].removeprefix("[").removesuffix("]")
        known = hosts.number(host) is not None or hosts.domain(host) == host
        port = 0 if found is None else int(found["port"] or PORTS[found["scheme"]])
        if found is None or not known or port >= 1 << 16 or len(self.url) > LONGEST_URL:
            raise InvalidInput(
                "url is not the address of an LDAP server: give one such as "
                "ldaps://dc1.corp.example, in lower case, without a name and what is below it"
            )
        return host, port

    @property
    def is_tls_at_once(self) -> bool:
        """Whether TLS begins with the connection; else StartTLS begins it (RFC 4511, 4.14)."""
        return self.url.startswith("ldaps:")


def is_loopback(host: str) -> bool:
    """Whether a host is this computer."""
    address = hosts.number(host)
    return host == "localhost" if address is None else address.is_loopback


def wanted(directory: AccountDirectory, email: str, upn: str) -> filters.Filter | None:
    """The filter for the entries of a person with an address or principal name; None for nobody."""
    named = ((directory.mail, email), (directory.upn, upn))
    called = tuple(filters.Equal(attribute, value) for attribute, value in named if value)
    if not called:
        return None
    return filters.Every((filters.parse(directory.narrowing), filters.Either(called)))


def of_accounts(directory: AccountDirectory, sams: tuple[str, ...]) -> filters.Filter:
    """The filter for the entries of some accounts."""
    named = tuple(filters.Equal(directory.sam, each) for each in sams)
    return filters.Every((filters.parse(directory.narrowing), filters.Either(named)))
