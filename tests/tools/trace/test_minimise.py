"""Failing traces made short."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from card_os import piv
from card_os.keys import TriesLeft, Verified
from card_os.piv.names import AID
from card_os.trace.lines import (
    HEADER,
    Answered,
    Comment,
    Image,
    Line,
    Pause,
    Power,
    Sent,
    Step,
    write,
)
from card_os.trace.replay import SeededRandom, retell
from cloudcard_tools.trace.command import trace
from cloudcard_tools.trace.minimise.minimising import shortest
from cloudcard_tools.trace.replay import cards
from support.fakes import sample_image

SELECT = Sent(bytes([0x00, 0xA4, 0x04, 0x00, len(AID), *AID]))
VERIFY = Sent(bytes.fromhex("0020008008303030303030ffff"))
STATUS = Sent(bytes.fromhex("00200080"))
CHUID = Sent(bytes.fromhex("00cb3fff055c035fc10200"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(trace, ["minimise", *(str(each) for each in arguments)])


def recorded(folder: Path, *, wrong: tuple[str, str] | None) -> Path:
    """A long session; `wrong` replaces the last line that is the first of the two."""
    told: list[Line] = [Power.ON, SELECT, Comment("a note")]
    for _ in range(20):
        told += [Step("read"), CHUID, Pause(1000), Power.RESET, SELECT]
    told += [VERIFY, Answered(Verified(b"#1")), CHUID, STATUS, CHUID, Power.RESET, SELECT]
    told += [STATUS, Answered(TriesLeft(3, 3, False)), CHUID]
    random = SeededRandom()
    image = sample_image()
    said = retell(piv.new_card(image, random), random, enumerate(told, 3))
    named = Image(cards.save(image, folder))
    lines = [HEADER, *(write(line) for line in (named, *said))]
    if wrong is not None:
        at = max(index for index, line in enumerate(lines) if line == wrong[0])
        lines[at] = wrong[1]
    path = folder / "long.trace"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_only_what_makes_the_difference_is_left(tmp_path: Path) -> None:
    output = tmp_path / "elsewhere" / "short.trace"
    output.parent.mkdir()
    result = run(recorded(tmp_path, wrong=("< 63c3", "< 63c2")), "-o", output, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.output)
    assert (document["commands_before"], document["commands"]) == (48, 1)
    assert (document["instruction"], document["complete"]) == ("20", True)
    kept = output.read_text().splitlines()
    assert [line for line in kept if line[0] in "#=~"] == []
    assert [line for line in kept if line.startswith(">")] == [write(STATUS)]
    replayed = CliRunner().invoke(trace, ["replay", str(output), "--json"])
    (again,) = json.loads(replayed.output)
    assert (again["differences"][0]["expected"], again["differences"][0]["actual"]) == (
        "< 63c2",
        "< 63c3",
    )


def test_what_the_difference_needs_stays(tmp_path: Path) -> None:
    """That the passcode is verified is why the second status is 9000."""
    path = recorded(tmp_path, wrong=None)
    lines = path.read_text().splitlines()
    at = lines.index(write(STATUS))
    assert lines[at + 1] == "< 9000"
    lines[at + 1] = "< 6983"
    path.write_text("\n".join(lines) + "\n")
    output = tmp_path / "short.trace"
    assert run(path, "-o", output).exit_code == 0
    kept = [line for line in output.read_text().splitlines() if line.startswith(">")]
    assert kept == [write(VERIFY), write(STATUS)]


def test_a_trace_that_is_the_same_has_nothing_to_minimise(tmp_path: Path) -> None:
    output = tmp_path / "short.trace"
    result = run(recorded(tmp_path, wrong=None), "-o", output)
    assert (result.exit_code, output.exists()) == (1, False)
    assert "does not differ" in result.output


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = recorded(tmp_path, wrong=("< 63c3", "< 63c2"))
    before = path.read_bytes()
    assert run(path, "-o", path).exit_code == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "empty"),
        (HEADER.encode() + b"\n\n> 00\n", "names no card"),
        (HEADER.encode() + b"\n> 0\n", "line 2:"),
        (HEADER.encode() + b"\n# \x00\n", "line 2:"),
        (HEADER.encode() + b"\n> 00\n# \xff\xfe\n", "line 3:"),
    ],
)
def test_what_is_no_trace_is_told(text: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.trace"
    path.write_bytes(text)
    result = run(path, "-o", tmp_path / "short.trace")
    assert (result.exit_code, said in result.output) == (1, True), result.output


@given(st.sets(st.integers(0, 60)), st.integers(0, 60))
def test_exactly_what_is_needed_is_kept(needed: set[int], size: int) -> None:
    needed = {each for each in needed if each < size}
    kept, complete = shortest(range(size), lambda some: needed <= set(some), lambda: False)
    assert (set(kept), complete) == (needed, True)


def test_when_time_is_up_what_there_is_counts() -> None:
    late = iter([False, False, False, True])
    kept, complete = shortest(range(16), lambda some: 3 in some, lambda: next(late))
    assert 3 in kept
    assert not complete
