"""The lines between agent and prompt: what is understood, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_bridge.prompt_program import lines
from reader_bridge.prompt_program.lines import Begin, Decided, Ignored, Malformed
from reader_bridge.prompts.json_lines import drawn
from support.prompts import BOTH


def encoded(**changes: object) -> bytes:
    """An approval with some fields changed; None takes one out."""
    fields = {**drawn(BOTH), **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def test_what_is_understood() -> None:
    assert lines.parsed(b'{"event": "begin", "version": 1}\n') == Begin(1)
    ended = b'{"event": "decided", "operation": "id", "outcome": "of later"}'
    assert lines.parsed(ended) == Decided("id", "of later")
    assert lines.parsed(b'{"event": "refused", "text": "why"}') == Ignored()
    assert lines.parsed(b'{"event": "of later", "more": [1]}') == Ignored()
    approval = lines.parsed(encoded(more="of later"))
    assert isinstance(approval, lines.Approval)
    assert (approval.number, approval.program, len(approval.qr_modules)) == (
        "42",
        "pkcs11-tool",
        29,
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 60000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "event is missing"),
        (b'{"event": 1}', "event is missing, or not a text"),
        (b'{"event": "begin"}', "version is missing, or not a whole number"),
        (b'{"event": "decided", "operation": "id"}', "outcome is missing"),
        (b" " * 70000, "longer than 65536 bytes"),
        (encoded(number="4x"), "number is not of one to four digits"),
        (encoded(number="\u0664\u0662"), "number is not of one to four digits"),
        (encoded(number="", qr_modules=[]), "neither a number nor qr_modules"),
        (encoded(qr_modules=["01", "1"]), "not a square"),
        (encoded(qr_modules=["02", "11"]), "not a square"),
        (encoded(qr_modules=[1]), "not a square"),
        (encoded(qr_modules=["1" * 178] * 178), "not a square"),
        (encoded(qr_modules=None), "qr_modules is missing"),
        (encoded(program="a\u202eb"), "program is longer than 300 characters, or cannot be"),
        (encoded(card="x" * 301), "card is longer"),
        (encoded(inputs=-1), "inputs is not a whole number from 0 on"),
        (encoded(inputs=True), "inputs is not a whole number"),
        (encoded(inputs=1.5), "inputs is missing, or not a whole number"),
        (encoded(seconds="soon"), "seconds is missing, or not a number"),
        (encoded(seconds=float("nan")), "seconds is not from 0"),
        (encoded(seconds=1e300), "seconds is not from 0"),
    ],
)
def test_what_is_refused(line: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        lines.parsed(line)


def understood_or_refused(line: bytes) -> bool:
    """Fails with any other exception than the one that refuses."""
    try:
        return lines.parsed(line) is not None
    except Malformed:
        return True


@given(st.binary(max_size=200))
def test_any_bytes_are_understood_or_refused(line: bytes) -> None:
    assert understood_or_refused(line)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(sorted(drawn(BOTH))), VALUES))
def test_any_fields_are_understood_or_refused(changes: dict[str, object]) -> None:
    assert understood_or_refused(json.dumps({**drawn(BOTH), **changes}).encode())


def test_what_is_said() -> None:
    assert json.loads(lines.begin()) == {"event": "ready", "version": 1}
    assert json.loads(lines.cancel("id")) == {"event": "cancel", "operation": "id"}
    assert lines.failed("no\nscreen").count(b"\n") == 1
    assert json.loads(lines.refused("why")) == {"event": "refused", "text": "why"}
