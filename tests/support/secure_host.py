"""A client of secure messaging, written from SP 800-73-5 part 2, 4, without the card's code.

Shares no line with `card_os`: what both get wrong, they should not get wrong alike.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CS2, CS7 = 0x27, 0x2E
CURVE: dict[int, ec.EllipticCurve] = {CS2: ec.SECP256R1(), CS7: ec.SECP384R1()}
HASH = {CS2: "sha256", CS7: "sha384"}
KEY_BYTES = {CS2: 16, CS7: 32}
NONCE_BYTES = {CS2: 16, CS7: 24}
AES_LABEL = {CS2: 0x09, CS7: 0x0D}
CURVE_OID = {CS2: "2A8648CE3D030107", CS7: "2B81040022"}
SIGNATURE_OID = {CS2: "2A8648CE3D040302", CS7: "2A8648CE3D040303"}
HOST = bytes.fromhex("0102030405060708")

Transmit = Callable[[bytes], bytes]


class Broken(Exception):
    """The card's answer is not what the standard says."""


def tlv(tag: str, *values: bytes) -> bytes:
    value = b"".join(values)
    size = len(value)
    if size < 128:
        length = bytes((size,))
    elif size < 256:
        length = bytes((0x81, size))
    else:
        length = b"\x82" + struct.pack(">H", size)
    return bytes.fromhex(tag) + length + value


def take(tag: str, data: bytes) -> tuple[bytes, bytes]:
    """The value of the first data object, which must be `tag`, and what comes after it."""
    field = bytes.fromhex(tag)
    if not data.startswith(field):
        raise Broken(f"{tag} expected")
    data = data[len(field) :]
    first, data = data[0], data[1:]
    if first >= 0x80:
        count = first & 0x7F
        first, data = int.from_bytes(data[:count]), data[count:]
    if len(data) < first:
        raise Broken(f"{tag} is cut short")
    return data[:first], data[first:]


def certificate(suite: int, guid: bytes, public: ec.EllipticCurvePublicKey) -> bytes:
    """A card verifiable certificate (table 15), signed by a key of its own."""
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    body = (
        tlv("5F29", b"\x80")
        + tlv("42", b"issuer__")
        + tlv("5F20", guid)
        + tlv("7F49", tlv("06", bytes.fromhex(CURVE_OID[suite])), tlv("86", point))
        + tlv("5F4C", b"\x00")
    )
    algorithm = tlv("30", tlv("06", bytes.fromhex(SIGNATURE_OID[suite])))
    signature = tlv("03", b"\x00", encode_dss_signature(1, 2))  # the host here does not check it
    return tlv("7F21", body, tlv("5F37", tlv("30", algorithm, signature)))


def cmac(key: bytes, message: bytes) -> bytes:
    made = CMAC(algorithms.AES(key))
    made.update(message)
    return made.finalize()


def fetch(transmit: Transmit, response: bytes, cla: int = 0x00) -> bytes:
    """A whole response, by GET RESPONSE as often as it takes."""
    data = b""
    while response[-2] == 0x61:
        data += response[:-2]
        response = transmit(bytes((cla, 0xC0, 0x00, 0x00, response[-1])))
    return data + response


@dataclass
class Host:
    """One end of a session; `cla` names the logical channel."""

    suite: int
    transmit: Transmit
    cla: int = 0x00
    enc: bytes = b""
    mac: bytes = b""
    rmac: bytes = b""
    counter: int = 1
    sent: bytes = bytes(16)  # MAC chaining values
    received: bytes = bytes(16)

    def opening(self, ephemeral: ec.EllipticCurvePrivateKey, control: int = 0) -> bytes:
        """H3 as a command APDU."""
        point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        challenge = bytes((control,)) + HOST + point
        template = tlv("7C", tlv("81", challenge), tlv("82"))
        header = bytes((self.cla, 0x87, self.suite, 0x04, len(template)))
        return header + template + b"\x00"

    def establish(self, control: int = 0) -> bytes:
        """H1 to H13; returns the card's certificate. Raises Broken."""
        ephemeral = ec.generate_private_key(CURVE[self.suite])
        answer = fetch(self.transmit, self.transmit(self.opening(ephemeral, control)), self.cla)
        if answer[-2:] != b"\x90\x00":
            raise Broken(answer.hex())
        template, rest = take("7C", answer[:-2])
        response, more = take("82", template)
        if rest or more or response[0] != 0x00:  # H4
            raise Broken("more than one answer, or a control byte")
        nonce, response = response[1 : 1 + (n := NONCE_BYTES[self.suite])], response[1 + n :]
        cryptogram, cvc = response[:16], response[16:]
        secret = ephemeral.exchange(ec.ECDH(), self._card_key(cvc))
        self._derive(secret, ephemeral, control, cvc, nonce, cryptogram)
        return cvc

    def _card_key(self, cvc: bytes) -> ec.EllipticCurvePublicKey:
        body, _ = take("7F21", cvc)
        for tag in ("5F29", "42", "5F20"):
            _, body = take(tag, body)
        public, _ = take("7F49", body)
        oid, public = take("06", public)
        if oid.hex().upper() != CURVE_OID[self.suite]:
            raise Broken("another curve")
        return ec.EllipticCurvePublicKey.from_encoded_point(
            CURVE[self.suite], take("86", public)[0]
        )

    def _derive(
        self,
        secret: bytes,
        ephemeral: ec.EllipticCurvePrivateKey,
        control: int,
        cvc: bytes,
        nonce: bytes,
        cryptogram: bytes,
    ) -> None:
        card = hashlib.sha256(cvc).digest()[:8]
        numbers = ephemeral.public_key().public_numbers()
        field = CURVE[self.suite].key_size // 8
        x_y = numbers.x.to_bytes(field) + numbers.y.to_bytes(field)
        label = AES_LABEL[self.suite]
        other_info = (
            bytes((4, label, label, label, label))
            + (b"\x08" + HOST)
            + (b"\x01" + bytes((control,)))
            + (b"\x10" + x_y[:16])
            + (b"\x08" + card)
            + (bytes((len(nonce),)) + nonce)
            + (b"\x01" + b"\x00")
        )
        material = b""
        for number in range(1, 5):  # SP 800-56A, 5.8.1
            block = struct.pack(">I", number) + secret + other_info
            material += hashlib.new(HASH[self.suite], block).digest()
        size = KEY_BYTES[self.suite]
        confirm = material[:size]
        if cmac(confirm, b"KC_1_V" + card + HOST + x_y) != cryptogram:  # H12
            raise Broken("keys are not confirmed")
        self.mac = material[size : 2 * size]
        self.enc = material[2 * size : 3 * size]
        self.rmac = material[3 * size : 4 * size]
        self.counter, self.sent, self.received = 1, bytes(16), bytes(16)

    def wrap(self, header: bytes, data: bytes = b"", *, le: bool = True) -> bytes:
        """The data field of a protected command of this INS, P1 and P2."""
        field = b""
        if data:
            padded = data + b"\x80"
            padded += bytes(-len(padded) % 16)
            field += tlv("87", b"\x01", self.encipher(padded))
        if le:
            field += tlv("97", b"\x00")
        return self.sealed(header, field)

    def encipher(self, padded: bytes) -> bytes:
        encryptor = self._cipher(0x00).encryptor()
        return encryptor.update(padded) + encryptor.finalize()

    def sealed(self, header: bytes, field: bytes) -> bytes:
        """Any data objects with their checksum."""
        self.sent = cmac(self.mac, self.sent + b"\x0c" + header + b"\x80" + bytes(11) + field)
        return field + tlv("8E", self.sent[:8])

    def apdus(self, header: bytes, field: bytes, largest: int = 255) -> list[bytes]:
        """A protected command as short APDUs, chained where one does not do."""
        parts = [field[at : at + largest] for at in range(0, len(field), largest)]
        secured = 0x0C | self.cla
        *first, last = parts
        return [
            *(bytes((secured | 0x10,)) + header + bytes((len(part),)) + part for part in first),
            bytes((secured,)) + header + bytes((len(last),)) + last + b"\x00",
        ]

    def unwrap(self, response: bytes) -> tuple[bytes, int]:
        """Response data and status word. Raises Broken."""
        if response[-2:] != b"\x90\x00":
            raise Broken(response.hex())
        body = response[:-2]
        data = b""
        covered = body
        if body[0] == 0x87:
            data, body = take("87", body)
        status, body = take("99", body)
        covered = covered[: len(covered) - len(body)]
        checksum, body = take("8E", body)
        full = cmac(self.rmac, self.received + covered)
        if body or full[:8] != checksum:
            raise Broken("checksum of the response")
        self.received = full
        if data:
            decryptor = self._cipher(0x80).decryptor()
            padded = decryptor.update(data[1:]) + decryptor.finalize()
            if data[0] != 0x01:
                raise Broken("padding content indicator")
            data, _, zeros = padded.rpartition(b"\x80")
            if zeros.strip(b"\x00") or len(zeros) > 15:
                raise Broken("padding")
        self.counter += 1
        return data, int.from_bytes(status)

    def send(self, header: str, data: bytes = b"", *, le: bool = True) -> tuple[bytes, int]:
        """One protected command of this INS, P1 and P2, through to its end."""
        head = bytes.fromhex(header)
        *first, last = self.apdus(head, self.wrap(head, data, le=le))
        for apdu in first:
            if (answer := self.transmit(apdu)) != b"\x90\x00":
                raise Broken(answer.hex())
        return self.unwrap(fetch(self.transmit, self.transmit(last), self.cla))

    def _cipher(self, direction: int) -> Cipher[modes.CBC]:
        counter = bytes((direction,)) + self.counter.to_bytes(15)
        key = algorithms.AES(self.enc)
        block = Cipher(key, modes.ECB()).encryptor()
        return Cipher(key, modes.CBC(block.update(counter) + block.finalize()))


def secret_of(private: ec.EllipticCurvePrivateKey, point: bytes) -> bytes:
    """What the key service answers: ECC CDH with the card's key."""
    public = ec.EllipticCurvePublicKey.from_encoded_point(private.curve, point)
    return private.exchange(ec.ECDH(), public)
