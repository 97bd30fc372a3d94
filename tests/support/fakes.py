"""Stand-ins for the world around the card: plain classes, no mocks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from card_os import piv, tlv
from card_os.administration import (
    Administrator,
    AnswerChallenge,
    AttestKey,
    CardKey,
    Changed,
    GenerateKey,
    ImportKey,
    MoveKey,
    RequestChallenge,
    ResetCard,
    SetManagementKey,
    SetTries,
    WriteObject,
)
from card_os.keys import (
    ChangePasscode,
    KeyRequest,
    KeyResult,
    KeyService,
    PasscodeStatus,
    ReadObject,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.piv import CardImage, Features
from card_os.piv.issuing import encode
from card_os.piv.names import Algorithm, Cipher, KeyRef, ObjectTag
from card_os.testing import CannedKeys, CountedRandom, DrivenCard

PIN = b"123456"
PUK = b"12345678"
GLOBAL_PIN = b"11223344"
FACTORY_PASSCODES = {
    int(KeyRef.PIN): PIN,
    int(KeyRef.PUK): PUK,
    int(KeyRef.GLOBAL_PIN): GLOBAL_PIN,
}
PROOF = b"proof of the passcode"
GLOBAL_PROOF = b"proof of the global PIN"
ADMIN_PROOF = b"proof of the management key"
NO_PROOF = Refusal.PASSCODE_NEEDED
MANAGEMENT_KEY = bytes(range(1, 17))
LARGEST_OBJECT = 2000
PUBLIC_KEY = bytes.fromhex("8641 04") + bytes(64)
ADMINISTERED = Features(management_algorithm=Cipher.AES_128)
DEVELOPER = Features(
    algorithms=frozenset(Algorithm), management_algorithm=Cipher.AES_128, extensions=True
)
WITH_GLOBAL_PIN = Features(global_pin=True)
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


class RefusingKeys:
    """A key service that always refuses."""

    def perform(self, request: KeyRequest) -> Refusal:
        return Refusal.DENIED


class ScriptedKeys:
    """Checks passcodes and administrators as a keystore does, and answers the uses of keys from a
    script.
    """

    def __init__(self, *results: KeyResult, tries: int = 3) -> None:
        self.requests: list[KeyRequest] = []
        self.passcodes = dict(FACTORY_PASSCODES)
        self.tries_left = dict.fromkeys(self.passcodes, tries)
        self.most_tries = dict.fromkeys(self.passcodes, tries)
        self.management = (int(Cipher.AES_128), MANAGEMENT_KEY)
        self._expected: bytes | None = None  # answer to the open challenge
        self._blocks = count(1)
        self._results = list(results)

    def perform(self, request: KeyRequest) -> KeyResult:
        self.requests.append(request)
        match request:
            case UseKey():
                return self._results.pop(0)
            case ReadObject(proof=proof):
                return self._results.pop(0) if proof in (PROOF, GLOBAL_PROOF) else NO_PROOF
            case PasscodeStatus(key_ref=key_ref):
                return TriesLeft(
                    self.tries_left[key_ref],
                    self.most_tries[key_ref],
                    self.passcodes[key_ref] == FACTORY_PASSCODES[key_ref],
                )
            case VerifyPasscode(key_ref=key_ref, passcode=passcode):
                return self._compare(key_ref, passcode)
            case ChangePasscode(key_ref=key_ref, old=old, new=new):
                return self._compare(key_ref, old, replace=(key_ref, new))
            case ResetPasscode(key_ref=key_ref, puk=puk, new=new):
                return self._compare(KeyRef.PUK, puk, replace=(key_ref, new))
            case RequestChallenge():
                return self._challenge(request)
            case AnswerChallenge():
                return self._check(request)
            case ResetCard():
                return self._reset()
            case AttestKey():
                return b"certificate"
            case _:
                return self._change(request) if request.proof == ADMIN_PROOF else NO_PROOF

    def _compare(
        self, key_ref: int, passcode: bytes, replace: tuple[int, bytes] | None = None
    ) -> KeyResult:
        if self.tries_left[key_ref] == 0:
            return TriesLeft(0)
        self.tries_left[key_ref] -= 1
        if passcode != self.passcodes[key_ref]:
            return TriesLeft(self.tries_left[key_ref])
        self.tries_left[key_ref] = self.most_tries[key_ref]
        if replace is not None:
            replaced, new = replace
            if len(new) < 6:
                return Refusal.MALFORMED
            self.passcodes[replaced] = new
            self.tries_left[replaced] = self.most_tries[replaced]
        return Verified(GLOBAL_PROOF if key_ref == KeyRef.GLOBAL_PIN else PROOF)

    def _challenge(self, request: RequestChallenge) -> KeyResult:
        algorithm, key = self.management
        if request.algorithm != algorithm:
            return Refusal.UNKNOWN_KEY
        size = 8 if algorithm == Cipher.TDEA else 16
        block = next(self._blocks).to_bytes(size)
        enciphered = encipher(algorithm, key, block)
        self._expected = block if request.enciphered else enciphered
        return enciphered if request.enciphered else block

    def _check(self, request: AnswerChallenge) -> KeyResult:
        algorithm, key = self.management
        expected, self._expected = self._expected, None
        if expected is None or request.algorithm != algorithm or request.response != expected:
            return Refusal.DENIED
        own = request.challenge
        return Administrator(ADMIN_PROOF, encipher(algorithm, key, own) if own else b"")

    def _change(
        self,
        request: WriteObject | GenerateKey | ImportKey | MoveKey | SetManagementKey | SetTries,
    ) -> KeyResult:
        match request:
            case WriteObject(tag=tag, contents=contents):
                if len(contents) > LARGEST_OBJECT:
                    return Refusal.FULL
                return Changed(objects={tag: contents or None})
            case GenerateKey(key_ref=key_ref) | ImportKey(key_ref=key_ref):
                key = CardKey(
                    request.algorithm,
                    PUBLIC_KEY,
                    request.pin_policy,
                    request.touch_policy,
                    isinstance(request, ImportKey),
                )
                return Changed(keys={key_ref: key})
            case MoveKey(source=source, destination=destination):
                moved = {} if destination is None else {destination: CardKey(Algorithm.ECC_P256)}
                return Changed(keys={source: None, **moved})
            case SetManagementKey(algorithm=algorithm, key=new):
                self.management = algorithm, new
                return Changed(management_algorithm=algorithm)
            case SetTries(passcode_proof=proof, pin_tries=pin_tries, puk_tries=puk_tries):
                if proof != PROOF:
                    return Refusal.PASSCODE_NEEDED
                self.most_tries |= {KeyRef.PIN: pin_tries, KeyRef.PUK: puk_tries}
                self.passcodes, self.tries_left = dict(FACTORY_PASSCODES), dict(self.most_tries)
                return Changed()

    def _reset(self) -> KeyResult:
        if self.tries_left[KeyRef.PIN] or self.tries_left[KeyRef.PUK]:
            return Refusal.DENIED
        self.passcodes, self.tries_left = dict(FACTORY_PASSCODES), dict(self.most_tries)
        self.management = (int(Cipher.AES_128), MANAGEMENT_KEY)
        image = sample_image()
        return Changed(objects=dict.fromkeys(image.objects), keys=dict.fromkeys(image.keys))


def encipher(algorithm: int, key: bytes, block: bytes) -> bytes:
    """One block under a management key, as whoever knows it does."""
    cipher = TripleDES(key) if algorithm == Cipher.TDEA else AES(key)
    encryptor = ciphers.Cipher(cipher, ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def decipher(algorithm: int, key: bytes, block: bytes) -> bytes:
    """The way back."""
    cipher = TripleDES(key) if algorithm == Cipher.TDEA else AES(key)
    decryptor = ciphers.Cipher(cipher, ECB()).decryptor()
    return decryptor.update(block) + decryptor.finalize()


def administer(
    card: DrivenCard, key: bytes = MANAGEMENT_KEY, algorithm: int = Cipher.AES_128
) -> bytes:
    """Authenticate with the management key, mutually; returns the last status word."""
    header = bytes((0x00, 0x87, algorithm, KeyRef.MANAGEMENT))
    answer = card.transmit(header + bytes.fromhex("047C02800000"))
    if not answer.endswith(b"\x90\x00"):
        return answer
    witness = decipher(algorithm, key, answer[4:-2])
    template = tlv.encode(
        0x7C, tlv.encode(0x80, witness), tlv.encode(0x81, witness[::-1]), tlv.encode(0x82)
    )
    answer = card.transmit(header + bytes((len(template),)) + template + b"\0")
    if len(answer) > 2:
        assert answer[4:-2] == encipher(algorithm, key, witness[::-1])
    return answer[-2:]


def sample_image(
    keys: Mapping[int, CardKey] = ECC_KEYS, features: Features | None = None
) -> CardImage:
    """A card with each kind of data object: bare, wrapped, protected, long."""
    features = features or Features()
    objects: dict[int, bytes] = {
        ObjectTag.DISCOVERY: encode.discovery(global_pin=features.global_pin),
        ObjectTag.CHUID: encode.chuid(GUID, "20301231"),
        ObjectTag.CCC: encode.ccc(GUID),
        ObjectTag.KEY_HISTORY: encode.key_history(on_card=1),
        ObjectTag.PRINTED_INFORMATION: encode.printed_information(
            "Ada Lovelace", "Staff", "20301231", "1000", "cloudcard"
        ),
        ObjectTag.AUTHENTICATION_CERTIFICATE: encode.certificate(bytes(range(256)) * 4),
    }
    return CardImage("1000", GUID, objects, keys, features)


def new_card(
    keys: KeyService | None = None,
    image: CardImage | None = None,
    *,
    rsa: bool = False,
    features: Features | None = None,
) -> DrivenCard:
    """A card, of P-256 keys unless `rsa`; without `keys`, it may not ask for any."""
    image = image or sample_image(RSA_KEYS if rsa else ECC_KEYS, features)
    return DrivenCard(piv.new_card(image, CountedRandom()), keys or CannedKeys())


def last_request(card: DrivenCard) -> KeyRequest:
    """What a card has asked its keys last."""
    assert isinstance(card.keys, CannedKeys | ScriptedKeys)
    return card.keys.requests[-1]
