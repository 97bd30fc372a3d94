"""Settings of the service, with defaults that need no configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cloud_keystore.model.errors import InvalidInput


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
class Token:
    """A PKCS #11 token for cards' keys."""

    module: Path  # the maker's library
    label: str
    pin_file: Path
    workers: int = 2  # processes that talk to it


@dataclass(frozen=True, slots=True)
class Settings:
    """What `cloudcard serve` is told. Paths of the data folder are derived."""

    data: Path
    listen: Address = Address("127.0.0.1", 7443)
    enrol_listen: Address = Address("127.0.0.1", 7444)
    public_host: str = "127.0.0.1"  # under which clients reach both ports
    sealing_keys: tuple[str, ...] = ()  # "file:PATH", "passphrase:PATH"; the first is current
    token: Token | None = None
    key_backend: str = "software"  # or "pkcs11": where new keys are made
    crl_url: str = ""  # where revocations of cards' certificates are published; empty: nowhere

    def __post_init__(self) -> None:
        if self.key_backend != "software" and self.token is None:
            raise InvalidInput("new keys are to be made in a token, but there is none: name it")
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
