"""What the holder reads on a terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import zxingcpp
from PIL import Image

from reader_bridge.prompt_program import texts
from reader_bridge.prompter import Outcome, Prompt
from reader_bridge.prompts.terminal import TerminalPrompter, large
from support.prompts import BOTH, CODE, PUSHED, QR, SCANNED, unheard


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_words(outcome: Outcome) -> None:
    out = io.StringIO()
    TerminalPrompter(out).clear("id", outcome)
    assert out.getvalue().strip() == texts.OUTCOMES[outcome.value]


def test_the_number_is_plain_and_large() -> None:
    out = io.StringIO()
    TerminalPrompter(out).show(PUSHED, unheard)
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
    TerminalPrompter(out).show(SCANNED, unheard)
    out.seek(0)
    text = out.read()
    assert "number" not in text
    assert read_code([line for line in text.splitlines() if set(line) & set("▀▄█")]) == QR


@pytest.mark.parametrize("prompt", [PUSHED, SCANNED, BOTH])
def test_everything_fits_into_a_terminal_of_80_columns_and_24_lines(prompt: Prompt) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    TerminalPrompter(out).show(prompt, unheard)
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
    TerminalPrompter(out).show(prompt, unheard)
    out.seek(0)
    assert ("####" in out.read()) is bool(prompt.number)


def test_who_asks_for_what_stays_on_a_line_and_cannot_forge_another() -> None:
    out = io.StringIO()
    TerminalPrompter(out).show(replace(PUSHED, program="x\n\x1b[2JApproved." + "y" * 90), unheard)
    line = out.getvalue().splitlines()[2]
    assert line.startswith("Sign with the authentication key (9A), x??[2JApproved.y")
    assert line.endswith("...")
    assert len(line) == 80
