"""docs/reader-protocol.md, the driver's header and the agent's codec have the same numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum, IntFlag
from pathlib import Path

import pytest

from cloudcard_tools.reader import via
from reader_bridge import records
from reader_bridge.carriers import handler_socket
from reader_bridge.records import Capability, EjectReason, RecordType
from support.ifd_handler import SOURCES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reader-protocol.md").read_text()
HEADER = (SOURCES / "record.h").read_text()
EXAMPLES: Mapping[str, records.Record] = {
    "HELLO": records.Hello(bytes.fromhex("3B80800101")),
    "WELCOME": records.Welcome(3, Capability.CANCEL),
    "APDU": records.Apdu(42, bytes.fromhex("00A4040005A000000308")),
    "RESPONSE": records.Response(42, b"\x90\x00"),
    "WAIT": records.Signal.WAIT,
    "EJECT": records.Eject(EjectReason.SILENT),
}


def of_header(prefix: str) -> dict[str, int]:
    """The enumerators of record.h whose names begin so, without that."""
    found = re.findall(rf"\b{prefix}_(\w+) = (\w+),", HEADER)
    return {name: int(value, 0) for name, value in found}


def of_page(rows: str) -> dict[str, int]:
    """What the rows of a table say: the number, and the first word of the next cell."""
    return {name: int(number, 16) for number, name in re.findall(rows, PAGE, re.MULTILINE)}


def number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.mark.parametrize(
    ("prefix", "rows", "kind"),
    [
        ("RECORD", r"^\| `(\w\w)` \| (\w+) \| (?:agent|driver|both) \|", RecordType),
        ("EJECT", r"^\| `(\w\w)` \| (\w+): ", EjectReason),
        ("CAPABILITY", r"^\| `(\w{8})` \| (\w+): ", Capability),
    ],
)
def test_types_reasons_and_capabilities(
    prefix: str, rows: str, kind: type[IntEnum] | type[IntFlag]
) -> None:
    ours = {each.name: int(each) for each in kind}
    theirs = of_header(prefix)
    theirs.pop("LENGTH", None)  # of an EJECT
    assert theirs == ours
    assert of_page(rows) == ours


def test_lengths() -> None:
    sizes = dict(re.findall(r"^    (\w+) = (\d+),", HEADER, re.MULTILINE))
    assert int(sizes["COMMAND_LONGEST"]) == records.COMMAND_BYTES[-1]
    assert int(sizes["RESPONSE_SHORTEST"]) == records.RESPONSE_BYTES[0]
    assert int(sizes["RESPONSE_LONGEST"]) == records.RESPONSE_BYTES[-1]
    assert int(sizes["ATR_SHORTEST"]) == records.ATR_BYTES[0]
    assert int(sizes["ATR_LONGEST"]) == records.ATR_BYTES[-1]
    assert int(sizes["PROTOCOL_VERSION"]) == records.VERSION
    said = re.findall(r"(?:command|response) APDU \((\d+) to (\d+)\)", PAGE)
    assert said == [
        (str(each[0]), str(each[-1])) for each in (records.COMMAND_BYTES, records.RESPONSE_BYTES)
    ]
    assert f"ATR ({records.ATR_BYTES[0]} to {records.ATR_BYTES[-1]})" in PAGE
    assert f"The version is {records.VERSION}." in PAGE


def test_slots() -> None:
    slots = re.search(r"SLOTS = (\d+)", (SOURCES / "slots.h").read_text())
    assert slots is not None
    assert int(slots[1]) - 1 == via.LAST_SLOT


def test_times_and_places() -> None:
    silence = re.search(r"define SILENCE_MILLISECONDS (\d+)", (SOURCES / "slot.h").read_text())
    greeting = re.search(r"GREETING_MILLISECONDS = (\d+)", (SOURCES / "guests.h").read_text())
    assert silence is not None
    assert greeting is not None
    assert int(silence[1]) == 1000 * records.SILENCE_SECONDS
    assert f"After {records.SILENCE_SECONDS:g} s of silence" in PAGE
    assert f"said nothing for {records.BEAT_SECONDS:g} s" in PAGE
    assert f"says HELLO, within {int(greeting[1]) / 1000:g} s" in PAGE
    assert f"| path | `{handler_socket.SOCKET}`;" in PAGE


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str) -> None:
    shown = re.search(rf"^{name} +((?:[0-9A-F]{{2,}} ?)+)", PAGE, re.MULTILINE)
    assert shown is not None
    assert bytes.fromhex(shown[1]) == EXAMPLES[name].encode()
