"""Stand-ins for the world around the card: plain classes, no mocks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from card_os import piv
from card_os.card import Card
from card_os.keys import (
    ChangePasscode,
    KeyRequest,
    KeyResult,
    KeyService,
    PasscodeStatus,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.management import CardKey
from card_os.piv import CardImage, encode
from card_os.piv.names import Algorithm, KeyRef, ObjectTag

PIN = b"123456"
PUK = b"12345678"
PROOF = b"proof of the passcode"
GUID = bytes.fromhex("0f3c1c0a5d0e4b6e9d6a2f1e8c7b6a59")

RSA_KEYS: Mapping[int, CardKey] = dict.fromkeys(
    (
        KeyRef.AUTHENTICATION,
        KeyRef.SIGNATURE,
        KeyRef.KEY_MANAGEMENT,
        KeyRef.CARD_AUTHENTICATION,
        0x82,
    ),
    CardKey(Algorithm.RSA_2048),
)
ECC_KEYS: Mapping[int, CardKey] = dict.fromkeys(RSA_KEYS, CardKey(Algorithm.ECC_P256))


class CountedRandom:
    """Bytes which differ at each call and are the same in each run."""

    def __init__(self) -> None:
        self._calls = count(1)

    def __call__(self, size: int) -> bytes:
        return next(self._calls).to_bytes(size)


class CannedKeys:
    """Answers the requests with these results, in order; a request too many is a failure."""

    def __init__(self, *results: KeyResult) -> None:
        self.requests: list[KeyRequest] = []
        self._results = list(results)

    def perform(self, request: KeyRequest) -> KeyResult:
        self.requests.append(request)
        assert self._results, f"not expected: {request}"
        return self._results.pop(0)


class ScriptedKeys:
    """Checks passcodes as a keystore does, and answers the uses of keys from a script."""

    def __init__(self, *results: KeyResult, tries: int = 3) -> None:
        self.requests: list[KeyRequest] = []
        self.passcodes = {int(KeyRef.PIN): PIN, int(KeyRef.PUK): PUK}
        self.tries_left = dict.fromkeys(self.passcodes, tries)
        self._most_tries = tries
        self._results = list(results)

    def perform(self, request: KeyRequest) -> KeyResult:
        self.requests.append(request)
        match request:
            case UseKey():
                return self._results.pop(0)
            case PasscodeStatus(key_ref=key_ref):
                return TriesLeft(self.tries_left[key_ref])
            case VerifyPasscode(key_ref=key_ref, passcode=passcode):
                return self._compare(key_ref, passcode)
            case ChangePasscode(key_ref=key_ref, old=old, new=new):
                return self._compare(key_ref, old, replace=(key_ref, new))
            case ResetPasscode(key_ref=key_ref, puk=puk, new=new):
                return self._compare(KeyRef.PUK, puk, replace=(key_ref, new))
            case _:
                raise AssertionError(f"not expected: {request}")

    def _compare(
        self, key_ref: int, passcode: bytes, replace: tuple[int, bytes] | None = None
    ) -> KeyResult:
        if self.tries_left[key_ref] == 0:
            return TriesLeft(0)
        self.tries_left[key_ref] -= 1
        if passcode != self.passcodes[key_ref]:
            return TriesLeft(self.tries_left[key_ref])
        self.tries_left[key_ref] = self._most_tries
        if replace is not None:
            replaced, new = replace
            self.passcodes[replaced] = new
            self.tries_left[replaced] = self._most_tries
        return Verified(PROOF)


class DrivenCard:
    """A card together with its key service."""

    def __init__(self, card: Card, keys: KeyService) -> None:
        self.card = card
        self.keys = keys

    def transmit(self, apdu: bytes) -> bytes:
        return self.card.transmit(apdu, self.keys)

    def send(self, apdu: str) -> str:
        """The same in hexadecimal digits, for tables of commands."""
        return self.transmit(bytes.fromhex(apdu)).hex().upper()


def sample_image(keys: Mapping[int, CardKey] = ECC_KEYS) -> CardImage:
    """A card with each kind of data object: bare, wrapped, protected, long."""
    objects: dict[int, bytes] = {
        ObjectTag.DISCOVERY: encode.discovery(),
        ObjectTag.CHUID: encode.chuid(GUID, "20301231"),
        ObjectTag.CCC: encode.ccc(GUID),
        ObjectTag.KEY_HISTORY: encode.key_history(on_card=1),
        ObjectTag.PRINTED_INFORMATION: encode.printed_information(
            "Ada Lovelace", "Staff", "20301231", "1000", "cloudcard"
        ),
        ObjectTag.AUTHENTICATION_CERTIFICATE: encode.certificate(bytes(range(256)) * 4),
    }
    return CardImage("1000", GUID, objects, keys)


def new_card(
    keys: KeyService | None = None, image: CardImage | None = None, *, rsa: bool = False
) -> DrivenCard:
    """A card, of P-256 keys unless `rsa`; without `keys`, it may not ask for any."""
    image = image or sample_image(RSA_KEYS if rsa else ECC_KEYS)
    return DrivenCard(piv.new_card(image, CountedRandom()), keys or CannedKeys())
