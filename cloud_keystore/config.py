"""Settings of the service, with defaults that need no configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum, unique
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.model.approval_keys import RelyingParty
from cloud_keystore.model.cards import SOFTWARE
from cloud_keystore.model.certificates import NOWHERE, Published
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import emails, hosts
from cloud_keystore.model.fields.texts import LONGEST_DISPLAY_NAME, text_field
from cloud_keystore.model.limits import Limits
from cloud_keystore.model.outbox.bells import PushTerms
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.outbox.notifications import REMIND_DAYS
from cloud_keystore.model.rights.oidc import OidcTerms
from cloud_keystore.model.spine.terms import SpineTerms

LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"({LABEL}\.)*[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?", re.ASCII)
STATUS_URL = re.compile(r"http://[^/?#\s]+(/[^/?#\s]+)*", re.ASCII)
PAGE_URL = re.compile(r"https://[a-z0-9.-]+(:[1-9]\d{0,4})?(/[A-Za-z0-9._~/-]*)?", re.ASCII)
LAST_DAY = 13  # after an invitation, which ends on the next one
ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+)(:[1-9]\d{0,4})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """Host and TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read "host:port" or "[v6]:port"; raises InvalidInput."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise InvalidInput(
                f"{text!r} is not an address: write host:port, such as 127.0.0.1:7443"
            )
        return cls(host, int(port))

    @classmethod
    def parse_public(cls, text: str) -> Address:
        """Read an address that is told to clients; raises InvalidInput."""
        address = cls.parse(text)
        return cls(public_host(address.host), address.port)


def public_host(text: str) -> str:
    """A name or IP address as clients take it: without the brackets of IPv6, without the dot of
    DNS's root, and a name of another script in DNS's own form. Raises InvalidInput for anything
    else: enrolment tokens with it would be of no use.
    """
    host = text.strip().removesuffix(".")
    if host.startswith("[") and host.endswith("]") and ":" in host:
        host = host[1:-1]
    if (numeric := hosts.number(host)) is not None:
        if numeric.is_unspecified:
            raise InvalidInput(
                f"{text!r} stands for all addresses of this computer: give the one, or the name, "
                "at which clients reach it"
            )
        return str(numeric)
    name = hosts.domain(host)
    if name is None:
        raise InvalidInput(
            f"{text!r} is neither a host name nor an IP address: write it without scheme, port and "
            "path, such as keystore.example.org, 192.0.2.1 or 2001:db8::1"
        )
    return name


@dataclass(frozen=True, slots=True)
class Token:
    """A PKCS#11 token for cards' keys."""

    module: Path  # the manufacturer's library
    label: str
    pin_file: Path
    workers: int = 2  # processes that talk to it


@unique
class Security(StrEnum):
    """How the way to a mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"  # from the first byte (RFC 8314, 3.3)
    NONE = "none"  # only within this computer


@dataclass(frozen=True, slots=True)
class Mail:
    """How e-mail is sent, and what is the same in all of it."""

    server: Address
    sender: str  # an e-mail address
    public_url: str  # of the page for holders, on which every link is
    help: str = "your registration authority"  # whom to ask
    security: Security = Security.STARTTLS
    user: str = ""  # by which the keystore signs in; empty: it does not
    password_file: Path | None = None
    roots: Path | None = None  # PEM, of the server's authorities; None: those of this computer
    remind_days: tuple[int, ...] = REMIND_DAYS  # after an invitation
    feedback_to: str = ""  # the address that gets what staff say; empty: nobody does

    def __post_init__(self) -> None:
        if not emails.email(self.sender) or not self.sender.isascii():
            raise InvalidInput("e-mail needs a sender: give an address in ASCII")
        if not PAGE_URL.fullmatch(self.public_url):
            raise InvalidInput(
                f"{self.public_url!r} is not the address of the page for holders: give one such as "
                "https://cards.example.org"
            )
        text_field("help", self.help, LONGEST_DISPLAY_NAME)
        emails.email(self.feedback_to)
        if bool(self.user) != (self.password_file is not None):
            raise InvalidInput("a mail server's user and the file with the password go together")
        if self.security is Security.NONE and (self.user or not _is_here(self.server.host)):
            raise InvalidInput(
                "e-mail holds tokens: it goes without TLS to this computer alone, such as "
                "127.0.0.1:25, and without a password"
            )
        if any(not 1 <= each <= LAST_DAY for each in self.remind_days):
            raise InvalidInput(f"people are reminded on day 1 to {LAST_DAY} after an invitation")


@unique
class ChatForm(StrEnum):
    """What a chat takes."""

    TEAMS = "teams"
    SLACK = "slack"
    GENERIC = "generic"  # {"id", "text"}, signed if there is a secret


@dataclass(frozen=True, slots=True)
class Sms:
    """The gateway by which messages get to phones: an address, or a file for development."""

    url: str = ""
    secret_file: Path | None = None  # by which messages are signed
    file: Path | None = None

    def __post_init__(self) -> None:
        if bool(self.url) is (self.file is not None):
            raise InvalidInput("SMS go to the address of a gateway, or into a file: name one")
        if bool(self.url) is not (self.secret_file is not None):
            raise InvalidInput(
                "a gateway of SMS knows the keystore by a signature: name the file with the secret"
            )
        if self.url:
            hook_url(self.url)


@dataclass(frozen=True, slots=True)
class Chat:
    """The chat that is told of alerts. Its address is a secret, and therefore in a file."""

    url_file: Path
    form: ChatForm = ChatForm.GENERIC
    secret_file: Path | None = None  # by which messages are signed


@dataclass(frozen=True, slots=True)
class WebhookTerms:
    """Where webhooks of API clients can be, besides in the internet, and how they are known."""

    inside: frozenset[str] = frozenset()  # hosts of the keystore's own network
    roots: Path | None = None  # PEM, of their authorities; None: those of this computer

    def __post_init__(self) -> None:
        for host in self.inside:
            if host != public_host(host):
                raise InvalidInput(f"{host!r} is no host of a webhook: write {public_host(host)}")


def hook_url(url: str) -> str:
    """The address of a gateway or chat, if it is safe; else raises InvalidInput, without it."""
    try:
        found = urlsplit(url)
        host, port = found.hostname or "", found.port
    except ValueError:
        host, port = "", None
    known = host and (port is None or 0 < port < 65536) and url.isascii() and url.isprintable()
    safe = known and (found.scheme == "https" or (found.scheme == "http" and _is_here(host)))
    if not safe or found.username is not None or " " in url:
        raise InvalidInput(
            "the address to which messages are posted begins with https:// (or with http://, on "
            "this computer), and has no user in it"
        )
    return url


def _is_here(host: str) -> bool:
    numeric = hosts.number(host)
    return host == "localhost" if numeric is None else numeric.is_loopback


@dataclass(frozen=True, slots=True)
class Web:
    """The port of the pages for people."""

    listen: Address
    certificate: Path | None = None  # PEM, its own first; None: the keystore issues one
    private: Path | None = None  # its key, PEM
    cards: Address | None = None  # where operators show their cards, with TLS always
    oidc: OidcTerms | None = None  # by which operators log in

    def __post_init__(self) -> None:
        if (self.certificate is None) is not (self.private is None):
            raise InvalidInput("a certificate of the pages goes with its key: name both files")

    @property
    def is_plain(self) -> bool:
        """Whether there is no TLS: only within this computer, for a proxy or for a browser."""
        return self.certificate is None and _is_here(self.listen.host)

    def origins(self, names: Iterable[str]) -> frozenset[str]:
        """Where browsers see the pages, if the port is reached by these names."""
        scheme = "http" if self.is_plain else "https"
        return frozenset(f"{scheme}://{Address(each, self.listen.port)}" for each in names)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of `cloudcard serve`. Paths inside the data folder are derived."""

    data: Path
    database: str = ""  # "postgresql://USER@HOST/NAME", for replicas to share; empty: SQLite
    listen: Address = Address("127.0.0.1", 7443)
    enrol_listen: Address = Address("127.0.0.1", 7444)
    public_host: str = "127.0.0.1"  # the name under which clients reach both ports
    public_addresses: tuple[Address, ...] = ()  # of all replicas' services; empty: this one's
    sealing_keys: tuple[str, ...] = ()  # "file:PATH", "passphrase:PATH"; the first is current
    token: Token | None = None
    key_backend: str = SOFTWARE  # where new keys are made: SOFTWARE or PKCS11
    spare_keys: int = 0  # of each kind, made in advance
    published: Published = NOWHERE  # what the certificates of new cards name
    webauthn_rp_id: str = ""  # domain for which passkeys are made; empty: public_host, if a name
    webauthn_origin: str = ""  # of the page that asks for passkeys; empty: https://<that domain>
    attestation_roots: tuple[bytes, ...] = ()  # PEM, of makers of authenticators
    status_listen: Address | None = None  # plain HTTP, for whoever checks cards
    rest_listen: Address | None = None
    est_listen: Address | None = None  # of EST, for workstations
    web: Web | None = None
    http_listen: Address | None = None  # plain HTTP, for metrics and health; next port: next worker
    reflection: bool = False  # whether gRPC's reflection is served, which has no limit for a caller
    limits: Limits = field(default_factory=Limits)
    mail: Mail | None = None  # None: nobody is told anything by e-mail
    sms: Sms | None = None  # None: no phone number is verified
    chat: Chat | None = None  # None: no chat is told of alerts
    ca_hosts: tuple[Address, ...] = ()  # of external authorities that it may call; empty: none
    spine: SpineTerms | None = None  # None: no session broker is asked whose tickets are
    webhooks: WebhookTerms = WebhookTerms()
    push: PushTerms = field(default_factory=PushTerms)
    push_roots: Path | None = None  # PEM, of push services; None: those of this computer

    def __post_init__(self) -> None:
        for host in (self.public_host, *(each.host for each in self.public_addresses)):
            if public_host(host) != host.lower():
                raise InvalidInput(f"{host!r} is no host as clients take it: {public_host(host)}")
        if self.key_backend != SOFTWARE and self.token is None:
            raise InvalidInput("new keys are to be made in a token, but no token is named: name it")
        for url, what, schemes in (
            (self.published.crl_url, "a revocation list", ("http", "ldap")),
            (self.published.ca_url, "an authority's certificate", ("http", "ldap")),
            (self.published.status_url, "a port where certificates are asked about", ("http",)),
        ):
            scheme, separator, rest = url.partition("://")
            if url and not (scheme in schemes and separator and rest.isascii()):
                raise InvalidInput(
                    f"{url!r} is not the address of {what}: give one that begins with http:// "
                    "(clients do not fetch it by https)"
                )
        status_url = self.published.status_url
        if status_url and STATUS_URL.fullmatch(status_url) is None:
            raise InvalidInput(
                f"{status_url!r} is longer than an address that others are put behind: give host "
                "and port, and a path at most, such as http://pki.example.org"
            )
        for each in self.public_addresses if len(self.public_addresses) > 1 else ():
            _check_number(each)
        _check(self.relying_party)

    @property
    def tells(self) -> frozenset[Medium]:
        """The media by which people are told."""
        there = {Medium.EMAIL: self.mail, Medium.SMS: self.sms, Medium.CHAT: self.chat}
        return frozenset(each for each, how in there.items() if how is not None)

    @property
    def sends(self) -> bool:
        """Whether something is sent: to people, to their pages, or to webhooks of API clients."""
        return bool(self.tells) or self.rest_listen is not None or self.web is not None

    @property
    def relying_party(self) -> RelyingParty:
        """The relying party for which passkeys are made."""
        host = self.public_host.lower()
        rp_id = self.webauthn_rp_id or (host if DOMAIN.fullmatch(host) else "localhost")
        return RelyingParty(rp_id, self.webauthn_origin or f"https://{rp_id}")

    @property
    def web_origins(self) -> frozenset[str]:
        """Where browsers see the pages for people: at the port itself, and where passkeys are."""
        names = (self.public_host, "localhost", "127.0.0.1", "::1")
        own = frozenset[str]() if self.web is None else self.web.origins(names)
        return own | {self.relying_party.origin}

    @property
    def database_file(self) -> Path:
        return self.data / "keystore.db"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.database_file}"

    @property
    def service_addresses(self) -> tuple[Address, ...]:
        """The addresses at which clients reach the services."""
        return self.public_addresses or (Address(self.public_host, self.listen.port),)

    @property
    def lock(self) -> Path:
        return self.data / "process.lock"

    @property
    def workers_lock(self) -> Path:
        return self.data / "workers.lock"

    @property
    def sealing_key(self) -> Path:
        return self.data / "sealing.key"

    @property
    def operator_token(self) -> Path:
        return self.data / "operator.token"


def _check_number(address: Address) -> None:
    """Raise InvalidInput for a host name: gRPC's clients take one name or several IP addresses
    (gRPC's name syntax, "ipv4:" and "ipv6:").
    """
    try:
        ip_address(address.host)
    except ValueError:
        raise InvalidInput(
            f"{address.host!r} is a name: give one --public-address with a name that stands for "
            "all replicas, or several with IP addresses"
        ) from None


def _check(relying_party: RelyingParty) -> None:
    """Raise InvalidInput for an origin that browsers refuse (WebAuthn level 3, 5.1.3, 8 and 9)."""
    if not DOMAIN.fullmatch(relying_party.id):
        raise InvalidInput(
            f"{relying_party.id!r} is not a domain for which passkeys can be made: give one such "
            "as keystore.example.org"
        )
    origin = ORIGIN.fullmatch(relying_party.origin)
    host = "" if origin is None else origin["host"]
    if (
        origin is None
        or not (host == relying_party.id or host.endswith(f".{relying_party.id}"))
        or not (origin["scheme"] == "https" or relying_party.id == "localhost")
    ):
        raise InvalidInput(
            f"{relying_party.origin!r} is not an origin of {relying_party.id}: give one such as "
            f"https://{relying_party.id}, without a path"
        )


def attestation_roots(path: Path) -> tuple[bytes, ...]:
    """Read the root certificates of makers of authenticators, PEM, each for itself; raises
    InvalidInput.
    """
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"cannot read the attestation roots {path}: {error.strerror}") from None
    except ValueError:
        raise InvalidInput(f"{path} has no certificates: give root certificates, PEM") from None
    return tuple(each.public_bytes(Encoding.PEM) for each in found)
