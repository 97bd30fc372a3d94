"""What is fuzzed: functions of bytes which fail when a promise is broken, whatever the bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from card_os import tlv
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
from card_os.apdu import Command
from card_os.keys import (
    ChangePasscode,
    KeyRequest,
    KeyResult,
    PasscodeStatus,
    ReadObject,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.piv import CardImage, Features, new_card
from card_os.piv.issuing import encode
from card_os.piv.names import Algorithm, Cipher, KeyRef, ObjectTag
from card_os.piv.rules import PIN_OBJECTS
from card_os.status import CardError
from reader_bridge import records, vpcd
from reader_bridge.ccid import usbip
from reader_bridge.ccid.messages import MalformedMessage, Message
from reader_bridge.ccid.presentation import T0, T1
from reader_bridge.ccid.reader import Apdu, Reader, Say
from reader_bridge.ccid.usb import MOST_WAITING, Device, Done, HostFault, Transfer

GUID = bytes.fromhex("0f3c1c0a5d0e4b6e9d6a2f1e8c7b6a59")
SELECT = bytes.fromhex("00A4040009A0000003080000100000")
PIN = b"123456"
ATR = bytes.fromhex("3BDF960081B1FE451F8073C801DBF9A0000003080000100000")
MOST_COMMANDS = 64  # of one run: the chain of commands matters, not its length
LONG = 0xFF  # as a length: two bytes of it follow


def apdu(data: bytes) -> None:
    """A command that can be parsed is the same after having been written out."""
    try:
        command = Command.parse(data)
    except CardError:
        return
    if len(command.data) <= 0xFFFF:
        assert Command.parse(bytes(command)) == command


def tlvs(data: bytes) -> None:
    """What can be decoded, encoded anew, decodes to the same."""
    try:
        objects = list(tlv.decode(data))
    except tlv.TlvError:
        return
    again = b"".join(tlv.encode(tag, value) for tag, value in objects)
    assert list(tlv.decode(again)) == objects


def frames(data: bytes) -> None:
    """Messages do not depend on how the bytes come in."""
    whole = list(vpcd.Decoder().feed(data))
    decoder = vpcd.Decoder()
    assert [event for each in data for event in decoder.feed(bytes((each,)))] == whole
    for event in whole:
        if isinstance(event, vpcd.CommandApdu):
            assert list(vpcd.Decoder().feed(vpcd.encode(event.raw))) == [event]


def agent_records(data: bytes) -> None:
    """Any bytes are a record that is written the same again, or malformed."""
    try:
        record = records.decode(data)
    except records.MalformedRecord:
        return
    assert record.encode() == data


def ccid(data: bytes) -> None:
    """Whatever messages a computer sends, each has at most one answer, and the reader goes on."""
    reader = Reader(T0 if data[:1] == b"\0" else T1, longest=271)
    reader.insert(ATR)
    for raw in _commands(data[1:]):
        busy = reader.busy
        if not raw:
            assert len(reader.respond(b"abc\x90\x00")) == busy
            continue
        try:
            effects = reader.receive(raw)
        except MalformedMessage:
            continue
        said = [each.message for each in effects if isinstance(each, Say)]
        asked = [each for each in effects if isinstance(each, Apdu)]
        assert len(said) + len(asked) <= 1
        assert not (busy and asked)
        assert all(Message.decode(each.encode()) == each for each in said)
        assert all(len(each.encode()) <= reader.longest for each in said)
    assert isinstance(reader.tick(), list)


def usbip_transfers(data: bytes) -> None:
    """Whatever a computer that has imported the reader sends: bounded answers, or the end."""
    for question in (data[:8], data[:40]):
        try:
            usbip.question(question)
        except usbip.NotUsbip:
            continue
    reader = Reader()
    reader.insert(ATR)
    device = Device(reader, "0001")
    answers = 0
    asked: set[int] = set()
    try:
        for event in usbip.Decoder().feed(data):
            if isinstance(event, Transfer):
                asked.add(event.number)
                for outcome in device.submit(event):
                    done = [outcome] if isinstance(outcome, Done) else []
                    if isinstance(outcome, Say):
                        done = device.tell(outcome)
                    for each in done:
                        answers += 1
                        assert each.number in asked
                        assert len(usbip.done(each)) <= 48 + usbip.LONGEST_TRANSFER
            elif event.target not in asked:
                assert not device.unlink(event.target)
    except (usbip.NotUsbip, HostFault):
        return
    assert len(asked) <= answers + 2 * MOST_WAITING  # what has no answer waits for one


def chaining(data: bytes) -> None:
    """A command in parts is the command in one piece, and so is its response."""
    size, contents = 1 + data[0] if data else 1, data[1:]
    image = _image()
    whole, parts = new_card(image, bytes), new_card(image, bytes)
    cut = [contents[at : at + size] for at in range(0, len(contents), size)] or [b""]
    keys = Generous()
    for each in cut[:-1]:
        sent = Command(0x10, 0x87, Algorithm.ECC_P256, KeyRef.CARD_AUTHENTICATION, each)
        assert parts.transmit(bytes(sent), keys) == b"\x90\x00"
    last = Command(0x00, 0x87, Algorithm.ECC_P256, KeyRef.CARD_AUTHENTICATION, cut[-1], 16)
    response = parts.transmit(bytes(last), keys)
    while response[-2] == 0x61:
        fetched = parts.transmit(bytes.fromhex("00C0000010"), keys)
        response = response[:-2] + fetched
    once = Command(0x00, 0x87, Algorithm.ECC_P256, KeyRef.CARD_AUTHENTICATION, contents, 65536)
    assert response == whole.transmit(bytes(once), keys)


def card(data: bytes) -> None:
    """Whatever is sent: one answer, no bug, and the card can be used afterwards."""
    sut = new_card(_image(), bytes)
    keys = Generous()
    for command in _commands(data):
        if not command:
            sut.reset()
            continue
        response = sut.transmit(command, keys)
        assert len(response) >= 2
        assert sut.fault is None, sut.fault
        assert response[-2] in (0x61, 0x6C) or response[-2:] in ANSWERS, response[-2:].hex()
    sut.reset()
    assert sut.transmit(SELECT, keys).endswith(b"\x90\x00")


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "apdu": apdu,
    "tlv": tlvs,
    "frames": frames,
    "records": agent_records,
    "ccid": ccid,
    "usbip": usbip_transfers,
    "chaining": chaining,
    "card": card,
}

# 6F00, the answer of a bug, is not among them.
ANSWERS = frozenset(
    bytes.fromhex(sw)
    for sw in (
        *(
            "9000",
            "6200",
            "6400",
            "6700",
            "6881",
            "6882",
            "6883",
            "6884",
            "6982",
            "6983",
            "6985",
            "6987",
        ),
        *("6988", "6A80", "6A81", "6A82", "6A84", "6A86", "6A88", "6B00", "6D00", "6E00"),
        *(f"63C{tries:X}" for tries in range(16)),
    )
)


class Generous:
    """Does all that it is asked, and lets in everybody who knows the PIN."""

    def perform(self, request: KeyRequest) -> KeyResult:
        """Answer at once."""
        match request:
            case PasscodeStatus() | ChangePasscode() | ResetPasscode():
                return TriesLeft(3)
            case VerifyPasscode(passcode=passcode):
                return Verified(b"proof") if passcode == PIN else TriesLeft(2)
            case UseKey(input=given):
                return given[:64]
            case ReadObject():
                return b"contents"
            case RequestChallenge():
                return bytes(16)
            case AnswerChallenge(challenge=challenge):
                return Administrator(b"proof", challenge)
            case WriteObject(tag=tag, contents=contents):
                if contents and tag in PIN_OBJECTS:
                    return Changed(withheld=frozenset({tag}))
                return Changed(objects={tag: contents or None})
            case GenerateKey() | ImportKey():
                public = tlv.encode(0x86, bytes(65))
                return Changed(keys={request.key_ref: CardKey(request.algorithm, public)})
            case MoveKey(source=source, destination=destination):
                key = CardKey(Algorithm.ECC_P256)
                moved = {} if destination is None else {destination: key}
                return Changed(keys={source: None, **moved})
            case SetManagementKey(algorithm=algorithm):
                return Changed(management_algorithm=algorithm)
            case SetTries() | ResetCard():
                return Changed()
            case AttestKey():
                return bytes(300)


def _image() -> CardImage:
    return CardImage(
        serial="1000",
        guid=GUID,
        objects={
            ObjectTag.DISCOVERY: encode.discovery(),
            ObjectTag.CHUID: encode.chuid(GUID, "20301231"),
            ObjectTag.PRINTED_INFORMATION: b"printed",
            ObjectTag.AUTHENTICATION_CERTIFICATE: encode.certificate(bytes(2000)),
        },
        keys={
            KeyRef.AUTHENTICATION: CardKey(Algorithm.RSA_2048),
            KeyRef.SIGNATURE: CardKey(Algorithm.ECC_P384),
            KeyRef.KEY_MANAGEMENT: CardKey(Algorithm.ECC_P256),
            KeyRef.CARD_AUTHENTICATION: CardKey(Algorithm.ECC_P256),
        },
        features=Features(
            algorithms=frozenset(Algorithm),
            management_algorithm=Cipher.AES_192,
            global_pin=True,
            extensions=True,
        ),
    )


def _commands(data: bytes) -> Iterator[bytes]:
    """Commands, each after its length; an empty one stands for a reset."""
    at = 0
    for _ in range(MOST_COMMANDS):
        if at >= len(data):
            return
        size, at = data[at], at + 1
        if size == LONG:
            size, at = int.from_bytes(data[at : at + 2]), at + 2
        yield data[at : at + size]
        at += size
