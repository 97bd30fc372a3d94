"""A number of the standard is typed once: in its home, `card_os`."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from architecture import standard
from architecture.imports import modules

MODULES = {name: path for name, path in modules() if name not in standard.HOME}
HOME = standard.read()

# What is the same number and means something else, by module and what is found, with the reason.
ALLOWED: Mapping[tuple[str, str], str] = {
    ("card_os.atr", "0xdb"): "a limit of compact TLV's length",
    ("card_os.atr", "0xc0"): "selection methods among the card capabilities",
    ("card_os.secrets", "0x24"): "an instruction of ISO/IEC 7816-4, in applications besides PIV",
    ("card_os.secrets", "0x2c"): "an instruction of ISO/IEC 7816-4, in applications besides PIV",
    ("card_os.secure_messaging", "0x87"): "the cryptogram's tag",
    ("card_os.secure_messaging", "card_os.piv.algorithms.BLOCK_BYTES"): "of AES alone",
    ("card_os.piv.secrets", "0x81"): "a length of BER in two bytes",
    ("card_os.piv.secrets", "0x82"): "a length of BER in three bytes",
    ("cloud_keystore.approval.attestation", "1.3.6.1.4.1.45724"): "of WebAuthn, not of cards",
    ("cloud_keystore.custody.sealing.envelope", "HEADER_BYTES"): "of a sealed value",
    ("cloud_keystore.model.certificates", "card_os.piv.rules.SIGNING"): "a kind of certificate",
    ("cloudcard_tools.bench.apdu", "A000000308"): "a whole command, as a program sends it",
    ("cloudcard_tools.bench.card", "A000000308"): "a whole command, as a program sends it",
    ("cloudcard_tools.bench.card", "313233343536"): "a whole command, as a program sends it",
    ("cloudcard_tools.bench.emulator", "313233343536"): "a whole command, as a program sends it",
    ("cloudcard_tools.bench.trace", "A000000308"): "a whole command, as a program sends it",
    ("cloudcard_tools.ra.lookup.messages", "0x87"): "a filter of LDAP",
    ("cloudcard_tools.trace.explain.names", "0x82"): "EXTERNAL AUTHENTICATE",
    ("cloudcard_tools.trace.explain.names", "0xf2"): "GET STATUS",
    ("cloudcard_tools.trace.formats.pcap", "HEADER_BYTES"): "of T=0, where P3 belongs to it",
    ("cloudcard_tools.trace.formats.pcap", "0xc0"): "GET RESPONSE among those of T=0",
    ("cloudcard_tools.trace.formats.pcap", "0xf2"): "GET STATUS",
    ("cloudcard_tools.trace.fuzz.fuzzing", "0xc0"): "the status word 63CX",
    ("reader_bridge.ccid.descriptors", "0x82"): "an endpoint of USB",
    ("reader_bridge.ccid.messages", "HEADER_BYTES"): "of a message of CCID",
    ("reader_bridge.ccid.messages", "0x71"): "a message of CCID",
    ("reader_bridge.ccid.messages", "0x72"): "a message of CCID",
    ("reader_bridge.ccid.messages", "0x81"): "a message of CCID",
    ("reader_bridge.ccid.messages", "0x82"): "a message of CCID",
    ("reader_bridge.ccid.messages", "0xe0"): "an error of CCID",
    ("reader_bridge.ccid.usb", "0x81"): "a request of USB",
    ("reader_bridge.ccid.usb", "0x82"): "a request of USB",
}


def excuse(module: str, found: str) -> tuple[str, str] | None:
    """The exception that a finding falls under."""
    return next((each for each in ALLOWED if each[0] == module and each[1] in found), None)


@pytest.mark.parametrize("module", MODULES)
def test_no_number_of_the_standard_is_typed_again(module: str) -> None:
    found = standard.typed_again(MODULES[module].read_text(), HOME)
    assert [each for each in found if excuse(module, each) is None] == []


def test_every_exception_is_needed() -> None:
    used = {
        excuse(module, found)
        for module, path in MODULES.items()
        for found in standard.typed_again(path.read_text(), HOME)
    }
    assert set(ALLOWED) - used == set()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("AUTHENTICATION = 0x9A", "0x9a is card_os.piv.names.KeyRef.AUTHENTICATION"),
        ("def f(ref):\n    return ref in (0x9C,)", "0x9c is card_os.piv.names.KeyRef.SIGNATURE"),
        ("NAMES = {0x5FC102: 'CHUID'}", "0x5fc102 is card_os.piv.names.ObjectTag.CHUID"),
        ("f(ins=0xCB)", "0xcb is card_os.piv.names.Ins.GET_DATA"),
        ("X = 0x5FFF10", "0x5fff10 is card_os.piv.names.EXTENSION_OBJECTS"),
        ("X = 'é', 0x6A80", "0x6a80 is card_os.status.SW.WRONG_DATA"),
        ("make(65537, 2048)", "0x10001 is card_os.piv.algorithms.PUBLIC_EXPONENT"),
        ("LIMIT = 12_710", "0x31a6 is card_os.piv.sizes.LARGEST_OBJECT"),
        ("LARGEST_OBJECT = 12_800", "a constant of the name of card_os.piv.sizes.LARGEST_OBJECT"),
        ("FIELD_BYTES: dict[int, int] = {}", "card_os.piv.algorithms.FIELD_BYTES"),
        ("A, RETIRED = 1, 2", "a constant of the name of card_os.piv.names.RETIRED"),
        ("CHAINED = 0x10", "a constant of the name of card_os.apdu.CHAINED"),
        ("x = '2.16.840.1.101.3.6.7'", "the object identifier 2.16.840.1.101.3.6.7"),
        ("x = bytes.fromhex('00A4 0400 05 A000000308')", "A000000308 is card_os.piv.names.RID"),
        (
            "class Policy(IntEnum):\n    DEFAULT = 0\n    NEVER = 1\n    ONCE = 2\n    ALWAYS = 3",
            "the members of card_os.uses.PinPolicy",
        ),
    ],
)
def test_a_number_typed_again_is_found(source: str, said: str) -> None:
    found = standard.typed_again(source, HOME)
    assert any(said in each for each in found), found


@pytest.mark.parametrize(
    "source",
    [
        "FIRST = 0x80 | length",
        "x = data[0] & 0x7E",
        "SECONDS = 256",
        "PAGE = 0x20",
        "retired_keys = range(20)",
        "def f():\n    AID = b''",
        "VERSION = '5.7.0'",
        "class Colour(IntEnum):\n    RED = 1\n    GREEN = 2",
        "x = bytes.fromhex('00C0000000')",
        "MODULUS = 154",
    ],
)
def test_what_means_something_else_is_left_alone(source: str) -> None:
    assert standard.typed_again(source, HOME) == []
