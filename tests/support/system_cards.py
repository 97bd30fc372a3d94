"""Cards in the real virtual reader with their keys in memory: they approve everything at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from card_os import tlv
from card_os.card import Card
from card_os.keys import KeyRequest, KeyResult, UseKey
from card_os.piv import CardImage, new_card
from card_os.piv.issuing import encode
from card_os.piv.names import CERTIFICATE_OF_KEY, Algorithm, KeyRef
from card_os.piv.sizes import FACTORY_PIN, FACTORY_PUK
from cloudcard_tools.demo.programs import Pkcs11
from cloudcard_tools.shared import pcsc
from reader_bridge.carriers.vpcd_port import VpcdPort
from reader_bridge.connection import Tape
from reader_bridge.local.keys import LocalKeys
from reader_bridge.local.making import plain_card
from reader_bridge.slot import Slot
from reader_bridge.tasks import CancellableKeys, Cancellation
from reader_bridge.vpcd import PORT
from support.authority import Authority

PIN, PUK = FACTORY_PIN.decode(), FACTORY_PUK.decode()
EMAIL = "ada@example.org"

# Every algorithm that a client is tried with: a row here is a card more in each test.
RSA = (Algorithm.RSA_2048, Algorithm.RSA_3072)
ECC = (Algorithm.ECC_P256, Algorithm.ECC_P384)
ALGORITHMS = (*RSA, *ECC)

PIV_CARD_AUTHENTICATION = x509.ObjectIdentifier("2.16.840.1.101.3.6.8")  # FIPS 201-3, 4.2.1
PURPOSES: Mapping[int, x509.ObjectIdentifier] = {
    KeyRef.AUTHENTICATION: ExtendedKeyUsageOID.CLIENT_AUTH,
    KeyRef.SIGNATURE: ExtendedKeyUsageOID.EMAIL_PROTECTION,
    KeyRef.KEY_MANAGEMENT: ExtendedKeyUsageOID.EMAIL_PROTECTION,
    KeyRef.CARD_AUTHENTICATION: PIV_CARD_AUTHENTICATION,
}
SLOT = 1  # of the virtual reader, for a card of the tests' own: the first may be taken
OPENSC_IDS: Mapping[int, str] = {
    KeyRef.AUTHENTICATION: "01",
    KeyRef.SIGNATURE: "02",
    KeyRef.KEY_MANAGEMENT: "03",
    KeyRef.CARD_AUTHENTICATION: "04",
}


def on_cards(*algorithms: Algorithm) -> pytest.MarkDecorator:
    """Repeats a test with a card of each algorithm."""
    names = [algorithm.name for algorithm in algorithms]
    return pytest.mark.parametrize("card", algorithms, ids=names, indirect=True)


class Recorded:
    """Keys that write down which of them was used."""

    def __init__(self, keys: CancellableKeys) -> None:
        self._keys = keys
        self.used: list[int] = []

    def perform(self, request: KeyRequest, cancellation: Cancellation) -> KeyResult:
        if isinstance(request, UseKey):
            self.used.append(request.key_ref)
        return self._keys.perform(request, cancellation)

    def reset(self) -> None:
        self._keys.reset()


@dataclass(frozen=True, slots=True)
class LocalCard:
    """A card in a slot."""

    slot: int
    image: CardImage
    algorithm: Algorithm
    certificates: Mapping[int, x509.Certificate]
    used: list[int] = field(repr=False)
    """References of the keys that were used, in order."""

    def pkcs11(self, *arguments: str | Path) -> str:
        """Run OpenSC's pkcs11-tool on it; raises StepFailed."""
        return Pkcs11(self.slot, PIN)(*arguments)

    def write_certificate(self, key_ref: int, folder: Path) -> Path:
        """The certificate of a key as a file, PEM."""
        path = folder / f"{key_ref:02X}.pem"
        path.write_bytes(self.certificates[key_ref].public_bytes(Encoding.PEM))
        return path


@contextmanager
def inserted(
    client: pcsc.Client, algorithm: Algorithm, authority: Authority, slot: int = 0
) -> Iterator[LocalCard]:
    """A new card, certified by the authority, in the reader for the time of the block."""
    keys = LocalKeys(plain_card(algorithm, os.urandom, datetime.now(UTC)), os.urandom)
    image, certificates = certified(keys.image, authority)
    recorded = Recorded(keys)
    with in_slot(client, new_card(image, os.urandom), recorded, slot):
        yield LocalCard(slot, image, algorithm, certificates, recorded.used)


def certified(
    image: CardImage, authority: Authority
) -> tuple[CardImage, Mapping[int, x509.Certificate]]:
    """A card's image with certificates of the authority instead of its own, and these by key."""
    certificates = {
        key_ref: _certify(authority, key_ref, image.objects[tag])
        for key_ref, tag in CERTIFICATE_OF_KEY.items()
        if tag in image.objects
    }
    return _with(image, certificates), certificates


@contextmanager
def in_slot(
    client: pcsc.Client, card: Card, keys: CancellableKeys, slot: int, tape: Tape | None = None
) -> Iterator[None]:
    """A card in the reader for the time of the block."""
    seen = threading.Event()
    place = Slot(VpcdPort(PORT + slot), card, keys, lambda _: seen.set(), tape=tape)
    place.start()
    try:
        assert seen.wait(timeout=60), "the reader has not seen the card"
        with client.connect(slot):
            pass  # pcscd has, too
        yield
    finally:
        place.stop()
        client.wait_for_absence(slot)


def _with(image: CardImage, certificates: Mapping[int, x509.Certificate]) -> CardImage:
    contents = {
        CERTIFICATE_OF_KEY[key_ref]: encode.certificate(each.public_bytes(Encoding.DER))
        for key_ref, each in certificates.items()
    }
    return replace(image, objects={**image.objects, **contents})


def _certify(authority: Authority, key_ref: int, contents: bytes) -> x509.Certificate:
    """What the authority says of the key of a self-signed certificate."""
    own = x509.load_der_x509_certificate(dict(tlv.decode(contents))[0x70])
    return authority.certify(
        f"Ada {key_ref:02X}",
        own.public_key(),
        own.extensions.get_extension_for_class(x509.KeyUsage).value,
        x509.ExtendedKeyUsage([PURPOSES[key_ref]]),
        x509.SubjectAlternativeName([x509.RFC822Name(EMAIL)]),
    )
