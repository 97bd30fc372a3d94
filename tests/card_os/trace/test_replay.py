from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from card_os import piv
from card_os.keys import TriesLeft, UseKey, Verified, VerifyPasscode
from card_os.trace.lines import HEADER, LONGEST_LINE, Answered, Asked, Line, read, read_all, write
from card_os.trace.replay import Difference, Replay, SeededRandom, retell
from card_os.trace.words import TraceError
from card_os.uses import KeyUse
from support import trace_lines
from support.fakes import CannedKeys, sample_image

SESSION = """\
cloudcard trace 1
# the holder signs, and then refuses
@ seed 00112233
= select
> 00a40400050a0000030800
< {select}
= sign
> 0020008008313233343536ffff
? verify 80 ******
! tries 2 3 no
< 63c2
> 0020008008313233343536ffff
? verify 80 ******
! verified #1
< 9000
> 0087119c0a7c0882008104cafebabe00
? use sign 9c 11 cafebabe #1
! ok 3006020101020102
< 7c0a820830060201010201029000
@ reset
> 0087119c0a7c0882008104cafebabe00
< 6982
"""
SELECT = "00a4040005a000000308"


def session() -> list[str]:
    card = piv.new_card(sample_image(), SeededRandom())
    answer = card.transmit(bytes.fromhex(SELECT), CannedKeys())
    text = SESSION.replace("00a40400050a0000030800", SELECT).format(select=answer.hex())
    return text.splitlines(keepends=True)


def differences(lines: list[str]) -> list[Difference]:
    random = SeededRandom()
    card = piv.new_card(sample_image(), random)
    return list(Replay(card, random).run(read_all(lines)))


@given(line=trace_lines.lines())
def test_what_is_written_is_read(line: Line) -> None:
    text = write(line)
    assert read(text) == line
    assert write(read(text)) == text


@given(text=st.text(max_size=80))
@example(text="#  ")
@example(text="= a name ")
def test_any_text_is_a_line_or_refused(text: str) -> None:
    try:
        line = read(text)
    except TraceError as error:
        assert len(str(error)) < 300
    else:
        assert read(write(line)) == line


@given(line=trace_lines.lines(), data=st.data())
def test_a_damaged_line_is_read_or_refused(line: Line, data: st.DataObject) -> None:
    text = write(line)
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.sampled_from(["", " ", "x", "0", "*", "-"])) + text[at + 1 :]
    try:
        read(damaged)
    except TraceError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("> 00a", "even number"),
        ("> 00 a4", "character 3 of 5 is not a hexadecimal digit"),
        ("> ", "even number"),
        ("x 00", "begins with one of"),
        ("? sing 9a", "is not a request"),
        ("? use sign 9a 11", "missing"),
        ("? use sign 9a 11 00 #1 more", "is one word too many"),
        ("? verify 80 123456", "asterisks"),
        ("! verified secret", "does not name a proof"),
        ("! refused LATER", "is none of"),
        ("@ card sha256:00", "64 hexadecimal digits"),
        ("@ clock yesterday", "not a UTC time"),
        ("@ clock 2026-11-23T09:00:00+01:00", "not a UTC time"),
        ("# \x1b[2J", "control characters"),
        ("# " + "x" * LONGEST_LINE, "more than"),
    ],
)
def test_what_is_wrong_with_a_line(line: str, said: str) -> None:
    with pytest.raises(TraceError, match=said) as refused:
        read(line)
    assert len(str(refused.value)) < 300


def test_a_secret_in_a_refused_line_is_not_repeated() -> None:
    with pytest.raises(TraceError) as refused:
        read("? verify 80 135790")
    assert "135790" not in str(refused.value)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "the file is empty"),
        (["> 00a40400"], "line 1: a trace begins with"),
        (["cloudcard trace 2\n"], "line 1: .* another version"),
        ([HEADER + "\n", "\n", "> 0"], "line 3: "),
    ],
)
def test_the_number_of_a_wrong_line(lines: list[str], said: str) -> None:
    with pytest.raises(TraceError, match=said):
        list(read_all(lines))


def test_a_file_is_read_line_by_line() -> None:
    def endless() -> object:
        yield HEADER
        while True:
            yield "> 00"

    numbers = [number for number, _ in zip(range(5), read_all(endless()), strict=False)]
    assert numbers == [0, 1, 2, 3, 4]


def test_a_replay_agrees_with_itself() -> None:
    assert differences(session()) == []


def test_one_other_status_word_is_one_difference() -> None:
    lines = [line.replace("< 63c2", "< 63c1") for line in session()]
    (difference,) = differences(lines)
    assert difference.number == 11
    assert difference.expected is not None
    assert difference.actual is not None
    assert write(difference.expected) == "< 63c1"
    assert write(difference.actual) == "< 63c2"
    assert difference.command[1] == 0x20


@pytest.mark.parametrize("mark", ["<", "?", "!"])
def test_a_line_left_out_is_found(mark: str) -> None:
    lines = session()
    for at, line in enumerate(lines):
        if line.startswith(mark):
            assert differences(lines[:at] + lines[at + 1 :]) != []


def test_a_line_twice_is_found() -> None:
    lines = session()
    for at, line in enumerate(lines):
        if line[0] in "<?":
            assert differences(lines[: at + 1] + lines[at:]) != []


def test_random_bytes_begin_anew_with_the_seed() -> None:
    random = SeededRandom(b"seed")
    drawn = [random(size) for size in (1, 16, 33, 100)]
    assert all(one[:1] != other[:1] or one != other for one, other in pairwise(drawn))
    random.restart(b"seed")
    assert [random(size) for size in (1, 16, 33, 100)] == drawn
    random.restart(b"other")
    assert random(16) != drawn[1]


def test_no_secret_is_written() -> None:
    requests = (
        VerifyPasscode(b"", 0x80, b"135790"),
        UseKey(b"", KeyUse.SIGN, 0x9A, 0x11, b"\x01", b"#1"),
    )
    assert [write(Asked(each)) for each in requests] == [
        "? verify 80 ******",
        "? use sign 9a 11 01 #1",
    ]
    assert write(Answered(Verified(b"#2"))) == "! verified #2"
    assert write(Answered(TriesLeft(0))) == "! tries 0 3 no"


def retold(lines: list[str]) -> list[str]:
    random = SeededRandom()
    card = piv.new_card(sample_image(), random)
    return [HEADER, *(write(line) for line in retell(card, random, read_all(lines)))]


def test_a_true_trace_is_retold_as_it_is() -> None:
    assert retold(session()) == [line.rstrip("\n") for line in session()]


def test_what_the_card_says_is_said_anew() -> None:
    bare = [line for line in session() if line[0] not in "<?"]
    assert retold(bare) == [line.rstrip("\n") for line in session()]


def test_an_answer_that_is_not_asked_for_any_more_is_left_out() -> None:
    lines = session()
    at = next(index for index, line in enumerate(lines) if line.startswith("> 0020"))
    lines[at] = "> 00a4040005a000000308\n"
    told = retold(lines)
    assert sum(line.startswith("!") for line in told) == 1 + sum(
        line.startswith("? use") for line in told
    )


def test_a_question_without_an_answer_cannot_be_retold() -> None:
    lines = [line for line in session() if not line.startswith("!")]
    with pytest.raises(TraceError, match=r"line 11: .* record the trace again"):
        retold(lines)
