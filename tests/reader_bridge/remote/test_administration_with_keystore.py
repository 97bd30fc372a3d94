"""A card that is administered from its reader, with the real keystore behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256

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
    KeyRequest,
    KeyResult,
    PasscodeStatus,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.piv.image import CardImage, Features
from card_os.piv.issuing import encode
from card_os.piv.names import Algorithm, CipherSuite, ObjectTag
from card_os.uses import KeyUse, PinPolicy
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.prompter import Outcome, Prompt, Withdraw
from reader_bridge.remote.keys import RemoteKeys
from reader_bridge.tasks import Cancellation
from support.keystore_process import AES_192, MANAGEMENT_KEY, KeystoreProcess, administrator
from support.secure_host import CS2, CS7, Host, fetch

PIN, PUK = 0x80, 0x81
FACTORY_PIN, FACTORY_PUK = b"123456", b"12345678"
P256 = Algorithm.ECC_P256
DIGEST = b"\x11" * 32


@dataclass
class Holder:
    """Approves whatever is shown."""

    phone: Phone

    def show(self, prompt: Prompt, _withdraw: Withdraw) -> None:
        self.phone.approve(self.phone.find(prompt.operation_id), prompt.number)

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        assert outcome is Outcome.APPROVED


@dataclass
class Reader:
    """A card in a reader."""

    keys: RemoteKeys
    channel: grpc.Channel
    serial: str

    def ask(self, request: KeyRequest) -> KeyResult:
        return self.keys.perform(request, Cancellation())

    def change(self, request: KeyRequest) -> Changed:
        made = self.ask(request)
        assert isinstance(made, Changed), made
        return made

    def administrator(self) -> bytes:
        return administrator(self.channel, self.serial)

    def passcode_proof(self, passcode: bytes = FACTORY_PIN) -> bytes:
        result = self.ask(VerifyPasscode(os.urandom(16), PIN, passcode))
        assert isinstance(result, Verified)
        return result.proof

    def sign(self, key_ref: int, proof: bytes) -> KeyResult:
        return self.ask(UseKey(os.urandom(16), KeyUse.SIGN, key_ref, P256, DIGEST, proof))

    def block(self) -> None:
        for _ in range(3):
            self.ask(VerifyPasscode(os.urandom(16), PIN, b"999999"))
            self.ask(ResetPasscode(os.urandom(16), PIN, b"99999999", b"123456"))


@dataclass
class Ward:
    """A keystore, a person with a phone, and a workstation."""

    keystore: KeystoreProcess
    user_id: str
    phone: identity.Identity
    channel: grpc.Channel

    def insert(self, profile: str) -> Reader:
        """A new card in the reader."""
        if profile == "developer":
            serial = self.keystore.developer_card(self.user_id)
        else:
            serial = self.keystore.card(self.user_id, self.phone, profile)
        holder = Holder(Phone(self.phone, identity.channel(self.phone)))
        return Reader(RemoteKeys(self.channel, serial, holder), self.channel, serial)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("ward")
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery)
        user_id, phone = keystore.holder("Ada")
        with identity.channel(keystore.workstation("PC")) as channel:
            yield Ward(keystore, user_id, phone, channel)


@pytest.fixture
def reader(ward: Ward) -> Reader:
    return ward.insert("developer")


def after(image: CardImage, made: Changed) -> CardImage:
    """The image with the changes."""
    objects, keys = {**image.objects, **made.objects}, {**image.keys, **made.keys}
    return replace(
        image,
        objects={tag: value for tag, value in objects.items() if value is not None},
        keys={key_ref: key for key_ref, key in keys.items() if key is not None},
    )


def point(key: CardKey | None) -> ec.EllipticCurvePublicKey:
    """The public key of template 7F49."""
    assert key is not None
    return ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), dict(tlv.decode(key.public))[0x86]
    )


def test_what_a_developers_card_is_told(reader: Reader) -> None:
    image = reader.keys.get_card()
    assert image.features == Features(
        algorithms=frozenset(Algorithm),
        management_algorithm=AES_192,
        global_pin=False,
        extensions=True,
    )
    assert set(image.keys) == {0x9A, 0x9C, 0x9D, 0x9E}
    assert all(key.public for key in image.keys.values())
    assert reader.ask(PasscodeStatus(bytes(16), PIN)) == TriesLeft(3, 3, factory=True)


def test_a_card_in_production(ward: Ward) -> None:
    reader = ward.insert("p256")
    assert reader.keys.get_card().features == Features()
    proof = b"\x00" * 32
    refused = reader.ask(RequestChallenge(AES_192, enciphered=False))
    assert refused is Refusal.UNKNOWN_KEY
    assert reader.ask(AnswerChallenge(AES_192, bytes(16))) is Refusal.UNKNOWN_KEY
    for request in (
        WriteObject(proof, ObjectTag.CCC, b"x"),
        GenerateKey(proof, 0x9A, P256),
        ImportKey(proof, 0x9A, P256, bytes(range(1, 33))),
        MoveKey(proof, 0x9A, None),
        SetManagementKey(proof, AES_192, bytes(range(24))),
        SetTries(proof, proof, 3, 3),
        ResetCard(),
        AttestKey(0x9A),
    ):
        assert reader.ask(request) is Refusal.DENIED


def test_mutual_authentication(reader: Reader) -> None:
    witness = reader.ask(RequestChallenge(AES_192, enciphered=True))
    assert isinstance(witness, bytes)
    cipher = Cipher(AES(MANAGEMENT_KEY), ECB())
    own = b"0123456789abcdef"
    granted = reader.ask(AnswerChallenge(AES_192, cipher.decryptor().update(witness), own))
    assert isinstance(granted, Administrator)
    assert granted.cryptogram == cipher.encryptor().update(own)
    assert reader.ask(AnswerChallenge(AES_192, own, own)) is Refusal.DENIED


def test_a_key_its_certificate_and_a_signature(reader: Reader) -> None:
    proof, image = reader.administrator(), reader.keys.get_card()
    made = reader.change(GenerateKey(proof, 0x9C, P256, PinPolicy.ONCE))
    public = point(made.keys[0x9C])
    # any certificate will do: the card does not read it
    contents = encode.certificate(b"\x30\x03\x02\x01\x2a")
    written = reader.change(WriteObject(proof, ObjectTag.SIGNATURE_CERTIFICATE, contents))
    told = after(after(image, made), written)
    now = reader.keys.get_card()
    # The card knows all of it.
    assert (told.objects, told.withheld, told.keys) == (now.objects, now.withheld, now.keys)
    assert now.guid != image.guid

    signature = reader.sign(0x9C, reader.passcode_proof())
    assert isinstance(signature, bytes)
    public.verify(signature, DIGEST, ec.ECDSA(Prehashed(SHA256())))

    der = reader.ask(AttestKey(0x9C))
    assert isinstance(der, bytes)
    attested = x509.load_der_x509_certificate(der)
    assert attested.public_key() == public
    issuer = dict(tlv.decode(now.objects[0x5FFF01]))[0x70]
    attested.verify_directly_issued_by(x509.load_der_x509_certificate(issuer))


def test_an_imported_key(reader: Reader) -> None:
    proof = reader.administrator()
    private = ec.generate_private_key(ec.SECP256R1())
    scalar = private.private_numbers().private_value.to_bytes(32)
    made = reader.change(ImportKey(proof, 0x9A, P256, scalar))
    assert point(made.keys[0x9A]) == private.public_key()
    signature = reader.sign(0x9A, reader.passcode_proof())
    assert isinstance(signature, bytes)
    private.public_key().verify(signature, DIGEST, ec.ECDSA(Prehashed(SHA256())))
    assert reader.ask(AttestKey(0x9A)) is Refusal.DENIED
    assert reader.ask(ImportKey(proof, 0x9A, P256, b"\xff" * 32)) is Refusal.MALFORMED
    reader.change(MoveKey(proof, 0x9A, 0x82))
    assert reader.ask(MoveKey(proof, 0x9A, 0x82)) is Refusal.UNKNOWN_KEY
    assert reader.sign(0x9A, reader.passcode_proof()) is Refusal.UNKNOWN_KEY


def test_a_large_rsa_key(reader: Reader) -> None:
    made = reader.change(GenerateKey(reader.administrator(), 0x9D, Algorithm.RSA_4096))
    key = made.keys[0x9D]
    assert key is not None
    assert len(dict(tlv.decode(key.public))[0x81]) == 512


def test_a_proof_is_for_one_card(ward: Ward, reader: Reader) -> None:
    other = ward.insert("developer")
    for proof in (other.administrator(), b""):
        request = WriteObject(proof, ObjectTag.CCC, b"x")
        assert reader.ask(request) is Refusal.PASSCODE_NEEDED


def test_too_large_an_object(reader: Reader) -> None:
    proof = reader.administrator()
    for size in (13_000, 60_000):
        request = WriteObject(proof, ObjectTag.FACIAL_IMAGE, bytes(size))
        assert reader.ask(request) is Refusal.FULL
    reader.change(WriteObject(proof, ObjectTag.FACIAL_IMAGE, bytes(12_710)))
    assert reader.ask(WriteObject(proof, 0x600000, b"x")) is Refusal.MALFORMED


def test_another_management_key(reader: Reader) -> None:
    proof = reader.administrator()
    assert reader.keys.get_card().factory_management_key
    made = reader.change(SetManagementKey(proof, 0x0C, bytes(range(32))))
    assert made.management_algorithm == 0x0C
    assert not made.factory_management_key
    assert not reader.keys.get_card().factory_management_key
    assert reader.keys.get_card().features.management_algorithm == 0x0C
    reader.change(WriteObject(proof, 0x5FFF00, b"notes"))
    assert reader.ask(RequestChallenge(AES_192, enciphered=False)) is Refusal.UNKNOWN_KEY


def test_tries(reader: Reader) -> None:
    reader.change(SetTries(reader.administrator(), reader.passcode_proof(), 5, 6))
    assert reader.ask(PasscodeStatus(bytes(16), PIN)) == TriesLeft(5, 5, factory=True)
    assert reader.ask(PasscodeStatus(bytes(16), PUK)) == TriesLeft(6, 6, factory=True)
    assert reader.ask(VerifyPasscode(bytes(16), PIN, b"999999")) == TriesLeft(4)


def test_reset(reader: Reader) -> None:
    image = reader.keys.get_card()
    assert reader.ask(ResetCard()) is Refusal.DENIED
    reader.block()
    made = reader.change(ResetCard())
    told, now = after(image, made), reader.keys.get_card()
    assert (told.objects, told.withheld, told.keys) == (now.objects, now.withheld, now.keys)
    assert now.keys == {}
    reader.passcode_proof(FACTORY_PIN)
    made = reader.change(GenerateKey(reader.administrator(), 0x9A, P256))
    signature = reader.sign(0x9A, reader.passcode_proof())
    assert isinstance(signature, bytes)
    point(made.keys[0x9A]).verify(signature, DIGEST, ec.ECDSA(Prehashed(SHA256())))


@pytest.mark.parametrize(("profile", "suite"), [("sm-cs2", CS2), ("sm-cs7", CS7)])
def test_secure_messaging(ward: Ward, profile: str, suite: int) -> None:
    reader = ward.insert(profile)
    image = reader.keys.get_card()
    assert image.keys[0x04].algorithm == suite
    card = piv.new_card(image, os.urandom)

    class Keys:
        def perform(self, request: KeyRequest) -> KeyResult:
            return reader.ask(request)

    select = bytes.fromhex("00A404000BA00000030800001000010000")
    assert card.transmit(select, Keys())[-2:] == b"\x90\x00"
    host = Host(suite, lambda apdu: card.transmit(apdu, Keys()))
    assert host.establish() == image.verifiable_certificate
    data, status = host.send("CB3FFF", bytes.fromhex("5C035FC102"))
    assert status == 0x9000
    assert image.guid in data


def test_a_session_of_a_card_without_secure_messaging(reader: Reader) -> None:
    request = UseKey(bytes(16), KeyUse.AGREE, 0x04, CipherSuite.CS2, b"\x04" + bytes(64))
    assert reader.ask(request) is Refusal.UNKNOWN_KEY


class Inserted:
    """The card in front of all that, as an application sees it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.card = piv.new_card(reader.keys.get_card(), os.urandom)
        self.send("00A40400", bytes.fromhex("A000000308000010000100"))

    def perform(self, request: KeyRequest) -> KeyResult:
        return self._reader.ask(request)

    def send(self, header: str, data: bytes = b"", status: int = 0x9000) -> bytes:
        """A command through to its end; returns the response data."""
        *parts, last = [data[at : at + 255] for at in range(0, len(data), 255)] or [b""]
        chained = bytes.fromhex("10" + header[2:8])
        for part in parts:
            answer = self.card.transmit(chained + bytes((len(part),)) + part, self)
            assert answer == b"\x90\x00"
        tail = bytes((len(last),)) + last if last else b""
        answer = self.card.transmit(bytes.fromhex(header) + tail + b"\x00", self)
        answer = fetch(lambda apdu: self.card.transmit(apdu, self), answer)
        assert int.from_bytes(answer[-2:]) == status, f"{header}: {answer[-2:].hex()}"
        assert self.card.fault is None
        return answer[:-2]

    def authenticate(self) -> None:
        sent = self.send("00870A9B", tlv.encode(0x7C, tlv.encode(0x81, b"")))
        challenge = sent[4:]
        response = Cipher(AES(MANAGEMENT_KEY), ECB()).encryptor().update(challenge)
        self.send("00870A9B", tlv.encode(0x7C, tlv.encode(0x82, response)))


def test_the_whole_card(reader: Reader) -> None:
    """From the management key to a signature, and to the reset, by APDUs."""
    card = Inserted(reader)
    card.send("0047009C", bytes.fromhex("AC03800111"), 0x6982)
    card.authenticate()
    public = card.send("0047009C", bytes.fromhex("AC03800111"))
    made = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), dict(tlv.decode(tlv.decode_one(0x7F49, public)))[0x86]
    )
    contents = encode.certificate(os.urandom(600))
    tag = bytes.fromhex("5C035FC10A")
    card.send("00DB3FFF", tag + tlv.encode(0x53, contents))
    assert card.send("00CB3FFF", tag) == tlv.encode(0x53, contents)
    card.send("00DB3FFF", bytes.fromhex("5C035FC108") + tlv.encode(0x53, bytes(13_500)), 0x6A84)

    template = tlv.encode(0x7C, tlv.encode(0x82, b"") + tlv.encode(0x81, DIGEST))
    card.send("0087119C", template, 0x6982)
    card.send("00200080", b"123456\xff\xff")
    answer = card.send("0087119C", template)
    signature = dict(tlv.decode(tlv.decode_one(0x7C, answer)))[0x82]
    made.verify(signature, DIGEST, ec.ECDSA(Prehashed(SHA256())))

    card.send("00FB0000", status=0x6985)
    reader.block()
    card.send("00FB0000")
    card.send("00CB3FFF", tag, 0x6A82)
    now = reader.keys.get_card()
    chuid = card.send("00CB3FFF", bytes.fromhex("5C035FC102"))
    assert chuid == tlv.encode(0x53, now.objects[ObjectTag.CHUID])
    assert now.guid in chuid
    card.send("0047009C", bytes.fromhex("AC03800111"), 0x6982)  # nobody is administrator now
    card.authenticate()
    card.send("0047009C", bytes.fromhex("AC03800114"))


def test_the_card_outlives_its_keystore(ward: Ward, reader: Reader) -> None:
    card = Inserted(reader)
    card.authenticate()
    ward.keystore.kill_and_restart()
    card.send("0047009A", bytes.fromhex("AC03800111"))  # the proof is as good as before
