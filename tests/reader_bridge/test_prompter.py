"""What the holder reads, and what a program reads."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
import zxingcpp
from PIL import Image

from reader_bridge.prompter import SAYINGS, JsonPrompter, Outcome, Prompt, TerminalPrompter, large

QR = "CLOUDCARD:1:AGRAOI3QHF3OVOXWDZT4XRUMMY4DUWYSPFTZHN24JPHMTGYLCTDA"
CODE = "7MYH 57PF"
PUSHED = Prompt("id", "1000", "42", "", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), CODE)
BOTH = Prompt("id", "1000", "42", QR, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), CODE)
SCANNED = Prompt("id", "1000", "", QR, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), CODE)


def test_json() -> None:
    out = io.StringIO()
    prompter = JsonPrompter(out)
    prompter.show(PUSHED)
    prompter.clear("id", Outcome.DENIED)
    approval, decided = map(json.loads, out.getvalue().splitlines())
    assert approval == {
        "event": "approval",
        "operation": "id",
        "card": "1000",
        "number": "42",
        "qr": "",
        "expire_time": "2026-01-02T03:04:05+00:00",
        "check_code": CODE,
    }
    assert decided == {"event": "decided", "operation": "id", "outcome": "denied"}


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_words(outcome: Outcome) -> None:
    out = io.StringIO()
    TerminalPrompter(out).clear("id", outcome)
    assert out.getvalue().strip() == SAYINGS[outcome]


def test_the_number_is_plain_and_large() -> None:
    out = io.StringIO()
    TerminalPrompter(out).show(PUSHED)
    assert "number 42 " in out.getvalue()
    assert "scan" not in out.getvalue().lower()


def test_large_digits_differ_and_line_up() -> None:
    assert len({large(digit, "#") for digit in "0123456789"}) == 10
    assert large("42", "#").splitlines() == [
        "    ##  ##    ######",
        "    ##  ##        ##",
        "    ######    ######",
        "        ##    ##",
        "        ##    ######",
    ]


def test_the_code_on_the_terminal_can_be_scanned() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    TerminalPrompter(out).show(SCANNED)
    out.seek(0)
    text = out.read()
    assert "number" not in text
    assert read_code([line for line in text.splitlines() if set(line) & set("▀▄█")]) == QR


@pytest.mark.parametrize("prompt", [PUSHED, SCANNED, BOTH])
def test_everything_fits_into_a_terminal_of_80_columns_and_24_lines(prompt: Prompt) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    TerminalPrompter(out).show(prompt)
    out.seek(0)
    lines = out.read().splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    assert ("42" in "".join(lines)) is bool(prompt.number)
    assert lines[-1].endswith(f"the same on your phone: {CODE}")


def read_code(lines: list[str]) -> str:
    """Scan half blocks: each character is two points, one above the other; ink is light."""
    light = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    width = max(map(len, lines))
    scale = 4
    picture = Image.new("L", (width * scale, len(lines) * 2 * scale), 255)
    for row, line in enumerate(lines):
        for column, char in enumerate(line.ljust(width, "█")):
            for half in (0, 1):
                shade = 255 if light[char][half] else 0
                left, top = column * scale, (row * 2 + half) * scale
                picture.paste(shade, (left, top, left + scale, top + scale))
    return zxingcpp.read_barcodes(picture)[0].text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("prompt", [PUSHED, SCANNED])
def test_a_terminal_without_block_characters(encoding: str, prompt: Prompt) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    TerminalPrompter(out).show(prompt)
    out.seek(0)
    assert ("####" in out.read()) is bool(prompt.number)
