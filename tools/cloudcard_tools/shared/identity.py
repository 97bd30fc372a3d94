"""Identities on this computer: enrolled with a one-time token, kept in a folder, used for mutual
TLS.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cloudcard_tools.shared.failures import IdentityUnusable
from cloudcard_tools.shared.reaching import Way, by_proxy, split
from private_files import rules
from private_files.rules import FileRefused

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 1024 * 1024),
    # A keystore that has vanished is noticed during a long wait.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # A connection that is taken and then not answered is given up, which gRPC itself does in 20 s.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Only the callers know which calls may be repeated.
    ("grpc.enable_retries", 0),
)
ANY_OF_THEM = json.dumps({"loadBalancingConfig": [{"pick_first": {"shuffleAddressList": True}}]})


KEY, CERTIFICATE, CA, FACTS = "key.pem", "certificate.pem", "ca.pem", "identity.json"
RENEWED = "renewed.pem"  # the key and certificate of a renewed identity, instead of the first ones
LARGEST_FILE = 1024 * 1024  # bytes
READABLE = "make its files readable for this user, or be the user who enrolled"

# What clients understand, by the role of those that say it
CAPABILITIES: Mapping[str, Collection[str]] = {
    "workstation": (),
    "authenticator": ("sign-in", "documents"),
}

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class Identity:
    """An enrolled identity. Its private key stays in the folder, readable by its owner alone."""

    folder: Path
    role: str
    id: str
    display_name: str
    address: str
    request_key: bytes

    @property
    def way(self) -> Way:
        """Where its keystore is, and the files that let it in."""
        key, certificate = self._present()
        return Way(self.address, self.folder / CA, certificate, key)

    def first_key(self) -> ec.EllipticCurvePrivateKey:
        """The key with which the identity was enrolled. Raises IdentityUnusable if it cannot be
        read.
        """
        path = self.folder / KEY
        return _key(path, read(path, bytes), self.again)

    def pair(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """The identity's key and certificate. Raises IdentityUnusable if they cannot be read, or do
        not belong together.
        """
        of_key, of_certificate = self._present()
        # A renewal can replace the file of both meanwhile.
        contents = {path: read(path, bytes) for path in (of_key, of_certificate)}
        key = _key(of_key, contents[of_key], self.again)
        certificate = parsed(
            of_certificate, contents[of_certificate], x509.load_pem_x509_certificate
        )
        if certificate.public_key() != key.public_key():
            raise IdentityUnusable(
                f"{of_key} is not the key of {of_certificate.name}: {self.again}"
            )
        return key, certificate

    def _present(self) -> tuple[Path, Path]:
        """The files of the key and the certificate: one file, if the identity was renewed."""
        renewed = self.folder / RENEWED
        if os.path.lexists(renewed):
            return renewed, renewed
        return self.folder / KEY, self.folder / CERTIFICATE

    @property
    def again(self) -> str:
        """What to do about an identity that is of no use any more."""
        return enrol_again(self.folder)


def load(folder: Path) -> Identity:
    """Read an identity. Raises IdentityUnusable, which says what to do, if there is none."""
    try:
        facts = json.loads(_content(folder / FACTS))
        request_key = bytes.fromhex(facts["request_key"])
        words = {name: _word(facts[name]) for name in ("role", "id", "display_name", "address")}
        for address in words["address"].split(","):
            split(address)
        return Identity(folder=folder, **words, request_key=request_key)
    except FileNotFoundError:
        raise IdentityUnusable(
            f"no identity in {folder}: ask your registration authority for a token and enrol"
        ) from None
    except FileRefused as refused:
        raise IdentityUnusable(str(refused)) from None
    except OSError as error:
        raise IdentityUnusable(f"{_told(error, folder)}: {READABLE}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise IdentityUnusable(
            f"the identity in {folder} is damaged ({_said(error)}): {enrol_again(folder)}"
        ) from None


def _word(value: object) -> str:
    """The value, which has to be text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError("a value is not text")
    return value


def channel(identity: Identity) -> grpc.Channel:
    """A connection to the keystore under this identity. It is opened at the first call.

    Raises IdentityUnusable if a file of the identity is missing or damaged, or if its certificate
    is not valid now.
    """
    ca, chain, key = _checked(identity, datetime.now(UTC))
    credentials = grpc.ssl_channel_credentials(ca, key, chain)
    target, options = target_of(identity.address)
    said = said_by(identity.role)
    return grpc.secure_channel(
        target,
        credentials,
        options=(*CHANNEL_OPTIONS, *options, *said, *by_proxy(identity.address.partition(",")[0])),
    )


def _checked(identity: Identity, now: datetime) -> tuple[bytes, bytes, bytes]:
    """The authorities' certificates, the identity's own, and its key, for gRPC, which ends the
    process if a key is none.
    """
    key, certificate = identity.pair()
    authorities = read(identity.folder / CA, x509.load_pem_x509_certificates)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    clock = f"this computer's clock says {now:%Y-%m-%d %H:%M} UTC"
    if now < begin:
        raise IdentityUnusable(
            f"the certificate in {identity.folder} begins at {begin:%Y-%m-%d %H:%M} UTC, and "
            f"{clock}: set the clock"
        )
    if now > end:
        raise IdentityUnusable(
            f"the certificate in {identity.folder} ended at {end:%Y-%m-%d %H:%M} UTC, and {clock}: "
            f"if the clock is right, {identity.again}"
        )
    return (
        b"".join(each.public_bytes(Encoding.PEM) for each in authorities),
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def said_by(role: str) -> tuple[tuple[str, str], ...]:
    """gRPC's option by which a workstation or phone says what it is."""
    if role not in CAPABILITIES:
        return ()
    # Imported late, because operators' commands do not need it.
    from reader_bridge.remote.software import user_agent

    return (("grpc.primary_user_agent", user_agent(CAPABILITIES[role])),)


def enrol_again(folder: Path) -> str:
    """How to replace an identity."""
    remove = shlex.join(["rm", "-r", str(folder)])
    return f"ask your registration authority for a token, remove the identity ({remove}) and enrol"


def read(path: Path, parse: Callable[[bytes], Parsed]) -> Parsed:
    """A file of an identity, by a parser that raises ValueError. Raises IdentityUnusable if the
    file is missing or damaged.
    """
    try:
        content = _content(path)
    except FileRefused as refused:
        raise IdentityUnusable(str(refused)) from None
    except FileNotFoundError:
        problem, remedy = f"{path} is missing", enrol_again(path.parent)
    except OSError as error:
        problem, remedy = _told(error, path), READABLE
    else:
        return parsed(path, content, parse)
    raise IdentityUnusable(f"{problem}: {remedy}")


def parsed(path: Path, content: bytes, parse: Callable[[bytes], Parsed]) -> Parsed:
    """The content of an identity's file, by a parser. Raises IdentityUnusable if it is damaged."""
    try:
        return parse(content)
    except (ValueError, KeyError, TypeError, UnsupportedAlgorithm):
        raise IdentityUnusable(f"{path} is damaged: {enrol_again(path.parent)}") from None


def _key(path: Path, content: bytes, again: str) -> ec.EllipticCurvePrivateKey:
    key = parsed(path, content, lambda pem: load_pem_private_key(pem, None))
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IdentityUnusable(f"{path} is not an EC key: {again}")
    return key


def _content(path: Path) -> bytes:
    """A file in the folder of an identity, which has to be this user's alone: somebody who could
    change it would say which keystore is to be trusted. Raises FileRefused and OSError.
    """
    rules.require_folder(path.parent)
    found = rules.read(path, LARGEST_FILE)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return found


def _told(error: OSError, path: Path) -> str:
    return f"{error.filename or path} cannot be read ({error.strerror})"


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def target_of(address: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The gRPC target for an address of the keystore, with the channel options that it needs.

    Several numeric addresses, separated by commas, are replicas: gRPC connects to any of them, and
    goes on to the next if one does not answer (gRPC's name syntax, "ipv4:" and "ipv6:").
    """
    first, comma, _ = address.partition(",")
    if not comma:
        return address, ()
    if first.startswith("["):
        scheme, host = "ipv6", first[1:].partition("]")[0]
    else:
        scheme, host = "ipv4", first.partition(":")[0]
    return f"{scheme}:{address}", (
        ("grpc.ssl_target_name_override", host),
        ("grpc.service_config", ANY_OF_THEM),
    )
