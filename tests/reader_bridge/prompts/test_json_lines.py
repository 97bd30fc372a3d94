"""What a program reads."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from reader_bridge.prompt_program import lines
from reader_bridge.prompter import Outcome
from reader_bridge.prompts.json_lines import JsonPrompter, approval, decided, drawn
from reader_bridge.prompts.qr import qr_code
from support.prompts import BOTH, CODE, PUSHED, QR, SCANNED, unheard


def test_an_output() -> None:
    out = io.StringIO()
    prompter = JsonPrompter(out)
    prompter.show(PUSHED, unheard)
    prompter.clear("id", Outcome.DENIED)
    shown, ended = map(json.loads, out.getvalue().splitlines())
    assert shown == {
        "event": "approval",
        "operation": "id",
        "card": "1000",
        "number": "42",
        "qr": "",
        "expire_time": "2026-01-02T03:04:05+00:00",
        "check_code": CODE,
        "workstation": "WARD7-PC3",
        "program": "pkcs11-tool",
        "key": "9A",
        "use": "sign",
        "inputs": 1,
        "session_uses": 0,
        "session_seconds": 0,
        "seconds": 120.0,
        "qr_seconds": 60.0,
    }
    assert ended == {"event": "decided", "operation": "id", "outcome": "denied"}


def test_the_modules_of_the_code_go_to_programs_that_draw_it() -> None:
    rows = [[int(module) for module in row] for row in drawn(BOTH)["qr_modules"]]
    assert rows == [list(row) for row in qr_code(QR).matrix]
    assert drawn(PUSHED)["qr_modules"] == []


def test_our_program_understands_what_is_said() -> None:
    for prompt in (PUSHED, BOTH, SCANNED):
        told = lines.parsed(json.dumps(drawn(prompt)).encode())
        assert isinstance(told, lines.Approval)
        assert (told.number, bool(told.qr_modules)) == (prompt.number, bool(prompt.qr_text))
    for outcome in Outcome:
        told = lines.parsed(json.dumps(decided("id", outcome)).encode())
        assert told == lines.Decided("id", outcome.value)


def test_a_name_cannot_turn_its_neighbours_round() -> None:
    """U+202E has what follows shown from right to left."""
    named = replace(PUSHED, program="a\u202eb\n", workstation="\x1b[2J" + "w" * 1000)
    said = approval(named)
    assert said["program"] == "a?b?"
    assert str(said["workstation"]).startswith("?[2Jw")
    assert isinstance(lines.parsed(json.dumps(drawn(named)).encode()), lines.Approval)
