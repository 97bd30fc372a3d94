"""Settings of the service, with defaults that need no configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.limits import Limits


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


@dataclass(frozen=True, slots=True)
class Settings:
    """What `cloudcard serve` is told. Paths of the data folder are derived."""

    data: Path
    listen: Address = Address("127.0.0.1", 7443)
    enrol_listen: Address = Address("127.0.0.1", 7444)
    public_host: str = "127.0.0.1"  # under which clients reach both ports
    crl_url: str = ""  # where revocations of cards' certificates are published; empty: nowhere

    http_listen: Address | None = None  # plain HTTP, for metrics and health
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        scheme, separator, rest = self.crl_url.partition("://")
        if self.crl_url and not (scheme in ("http", "ldap") and separator and rest.isascii()):
            raise InvalidInput(
                f"{self.crl_url!r} is no address of a revocation list: give one that begins with "
                "http:// (clients do not fetch it by https)"
            )

    @property
    def database_file(self) -> Path:
        return self.data / "keystore.db"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.database_file}"

    @property
    def lock(self) -> Path:
        return self.data / "process.lock"

    @property
    def sealing_key(self) -> Path:
        return self.data / "sealing.key"

    @property
    def operator_token(self) -> Path:
        return self.data / "operator.token"
