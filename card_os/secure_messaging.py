"""Secure messaging of PIV: AES-CBC, then CMAC over everything, with a MAC chaining value from each
message to the next (SP 800-73-5 part 2, 4.2). All types are values; the state that holds them
decides when the session keys end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.cmac import CMAC

from card_os import data_objects, tlv
from card_os.apdu import EXTENDED_NE, SHORT_NE, Command
from card_os.status import SW, CardError

CRYPTOGRAM, CHECKSUM, LE, STATUS = 0x87, 0x8E, 0x97, 0x99  # part 2, table 19
LAYOUTS = (
    (CRYPTOGRAM, LE, CHECKSUM),
    (CRYPTOGRAM, CHECKSUM),
    (LE, CHECKSUM),
    (CHECKSUM,),
)

BLOCK_BYTES = 16
CHECKSUM_BYTES = 8  # that are sent, of sixteen; all sixteen go into the next checksum
PADDED = b"\x01"  # padding content indicator
OF_RESPONSE = 0x80 << 120  # set in the counter of a response
PROTECTED_CLA = 0x0C  # the class byte under the checksum, whatever class the parts have


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """The keys that both ends have established: AES keys of 16 or 32 bytes."""

    mac: bytes = field(repr=False)
    enc: bytes = field(repr=False)
    rmac: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecureMessaging:
    """The card's state of secure messaging at one command; each command makes a new value."""

    keys: SessionKeys
    counter: int = 1  # of commands
    command_chaining: bytes = field(default=bytes(BLOCK_BYTES), repr=False)
    """The MAC chaining value: the whole checksum of the previous command."""
    response_chaining: bytes = field(default=bytes(BLOCK_BYTES), repr=False)

    def unwrap(self, command: Command) -> tuple[Command, SecureMessaging]:
        """The command inside a protected one, and the next state.

        Raises 6987 if there is no checksum, and 6988 if the checksum or a data object is wrong.
        """
        cryptogram, le, protected, claimed = _split(command.data)
        header = bytes((PROTECTED_CLA, command.ins, command.p1, command.p2))
        checksum = _cmac(self.keys.mac, self.command_chaining, _pad(header), protected)
        if not compare_digest(checksum[:CHECKSUM_BYTES], claimed):
            raise CardError(SW.SECURE_MESSAGING_OBJECTS_INCORRECT, "checksum does not match")
        data = b"" if cryptogram is None else self._decipher(cryptogram)
        plain = replace(command, cla=0x00, data=data, ne=0 if le is None else _ne(le))
        return plain, replace(self, command_chaining=checksum)

    def protect(self, command: Command, le: bytes | None) -> bytes:
        """The data field of a protected command, as the other end makes it; `le` is the value of
        data object 97, or None to leave it out.
        """
        protected = b""
        if command.data:
            cipher = self._cipher(self.counter).encryptor()
            blocks = cipher.update(_pad(command.data)) + cipher.finalize()
            protected = tlv.encode(CRYPTOGRAM, PADDED, blocks)
        if le is not None:
            protected += tlv.encode(LE, le)
        header = bytes((PROTECTED_CLA, command.ins, command.p1, command.p2))
        checksum = _cmac(self.keys.mac, self.command_chaining, _pad(header), protected)
        return protected + tlv.encode(CHECKSUM, checksum[:CHECKSUM_BYTES])

    def wrap(self, data: bytes, sw: int) -> tuple[bytes, SecureMessaging]:
        """The data field that carries response data and status word, and the next state."""
        protected = tlv.encode(CRYPTOGRAM, PADDED, self._encipher(data)) if data else b""
        protected += tlv.encode(STATUS, sw.to_bytes(2))
        checksum = _cmac(self.keys.rmac, self.response_chaining, protected)
        response = protected + tlv.encode(CHECKSUM, checksum[:CHECKSUM_BYTES])
        return response, replace(self, counter=self.counter + 1, response_chaining=checksum)

    def _encipher(self, data: bytes) -> bytes:
        cipher = self._cipher(self.counter | OF_RESPONSE).encryptor()
        return cipher.update(_pad(data)) + cipher.finalize()

    def _decipher(self, cryptogram: bytes) -> bytes:
        """The plain contents of data object 87. Raises 6988 if it is malformed."""
        indicator, blocks = cryptogram[:1], cryptogram[1:]
        if indicator != PADDED or not blocks or len(blocks) % BLOCK_BYTES:
            raise CardError(SW.SECURE_MESSAGING_OBJECTS_INCORRECT, "cryptogram is malformed")
        cipher = self._cipher(self.counter).decryptor()
        padded = cipher.update(blocks) + cipher.finalize()
        data = padded.rstrip(b"\x00")
        if not data.endswith(b"\x80") or len(padded) - len(data) >= BLOCK_BYTES:
            raise CardError(SW.SECURE_MESSAGING_OBJECTS_INCORRECT, "padding is malformed")
        return data[:-1]

    def _cipher(self, counter: int) -> Cipher[CBC]:
        """The cipher for one message, whose initialization vector is the enciphered counter."""
        key = AES(self.keys.enc)
        block = Cipher(key, ECB()).encryptor()  # noqa: S305 - of a single block, as specified
        return Cipher(key, CBC(block.update(counter.to_bytes(BLOCK_BYTES)) + block.finalize()))


def _split(data: bytes) -> tuple[bytes | None, bytes | None, bytes, bytes]:
    """The cryptogram, Le, the bytes under the checksum, and the checksum.

    Raises 6987 if there is no checksum, and 6988 for any other wrong layout.
    """
    objects = data_objects.parse(data, SW.SECURE_MESSAGING_OBJECTS_INCORRECT)
    found = dict(objects)
    checksum = found.get(CHECKSUM)
    if checksum is None:
        raise CardError(SW.SECURE_MESSAGING_OBJECTS_MISSING, "no checksum")
    if tuple(tag for tag, _ in objects) not in LAYOUTS:
        raise CardError(SW.SECURE_MESSAGING_OBJECTS_INCORRECT, "data objects do not fit")
    protected = data[: -len(tlv.encode(CHECKSUM, checksum))]
    return found.get(CRYPTOGRAM), found.get(LE), protected, checksum


def _ne(le: bytes) -> int:
    """The number that a protected Le encodes. Raises 6988 if it is malformed."""
    match len(le):
        case 1:
            return le[0] or SHORT_NE
        case 2:
            return int.from_bytes(le) or EXTENDED_NE
        case _:
            raise CardError(SW.SECURE_MESSAGING_OBJECTS_INCORRECT, "Le is malformed")


def _pad(data: bytes) -> bytes:
    """Pad to whole blocks, by at least one byte."""
    size = len(data) + 1
    return data + b"\x80" + bytes(-size % BLOCK_BYTES)


def _cmac(key: bytes, *parts: bytes) -> bytes:
    cmac = CMAC(AES(key))
    for part in parts:
        cmac.update(part)
    return cmac.finalize()
