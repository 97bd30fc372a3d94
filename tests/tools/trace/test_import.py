"""Traces from other programs' logs. The samples were captured from the real programs at throw-away
cards, whose PIN was 123456, or written by hand after their output.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from card_os.trace.lines import Comment, Line, Power, Received, Sent, read_all
from card_os.trace.words import TraceError
from cloudcard_tools.trace.command import trace
from cloudcard_tools.trace.formats import reading
from cloudcard_tools.trace.formats.reading import ABOUT, LOGS
from cloudcard_tools.trace.formats.secrets import Redacted

SAMPLES = Path(__file__).parents[2] / "samples" / "logs"
SELECT = bytes.fromhex("00A4040005A000000308")
VERIFY = Sent(bytes.fromhex("0020008008303030303030FFFF"))
OK = Received(b"\x90\x00")
KNOWN: dict[str, tuple[str, int, int]] = {  # format, commands, secrets
    "globalplatform.txt": ("globalplatform", 3, 1),
    "gscriptor.txt": ("scriptor", 2, 1),
    "java.log": ("decimal-array", 2, 1),
    "opensc.log": ("opensc", 10, 1),
    "opensc-0.16.log": ("opensc", 2, 1),
    "opensc-tool.txt": ("opensc-tool", 3, 1),
    "pcscd.log": ("pcscd", 14, 1),
    "pcscd-color.log": ("pcscd", 5, 1),
    "pcsc-spy.txt": ("pcsc-spy", 13, 1),
    "pcsc-spy-color.txt": ("pcsc-spy", 2, 1),
    "pyscard.txt": ("hex-lines", 2, 1),
    "rust.log": ("hex-array", 2, 1),
    "scdaemon.log": ("scdaemon", 9, 0),
    "scdaemon-2.4.log": ("scdaemon", 5, 3),
    "scdaemon-ccid.log": ("scdaemon", 2, 1),
    "scriptor.txt": ("scriptor", 4, 1),
    "vicc.log": ("vicc", 2, 1),
    "ykman.log": ("ykman", 17, 1),
    "yubico-piv-tool.txt": ("yubico-piv-tool", 5, 1),
}
# 123456 and 654321, as every format writes their digits; what a card has deciphered.
SECRETS = re.compile(
    r"31\W*32\W*33\W*34\W*35\W*36|36\W*35\W*34\W*33\W*32\W*31|49, 50, 51, 52|123456|654321"
    r"|5e55104e",
    re.IGNORECASE,
)
NAMED_SAMPLES = sorted(SAMPLES.iterdir())


PIECES = (
    *("APDU: ", "SW: ", "Outgoing APDU (9 bytes):", "00 20 00 80 08 31", "31 32 33", "> ", "< "),
    *("[0, 32", "{", "<br>", "DBG: dump: \\", "i bSendBuffer", "SCardTransmit", "\n", "\n"),
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(trace, [str(each) for each in arguments])


def imported(path: Path, folder: Path, *options: object) -> list[Line]:
    made = folder / "made.trace"
    made.unlink(missing_ok=True)
    result = run("import", path, "-o", made, *options)
    assert result.exit_code == 0, result.output
    with made.open(encoding="ascii") as file:
        return [line for _, line in read_all(file)]


def apdus(lines: list[Line]) -> list[Line]:
    return [line for line in lines if isinstance(line, Sent | Received)]


def test_every_sample_and_every_format_is_tried() -> None:
    assert {path.name for path in NAMED_SAMPLES} == set(KNOWN)
    assert {form for form, _, _ in KNOWN.values()} == set(LOGS)


@pytest.mark.parametrize("path", NAMED_SAMPLES, ids=lambda path: path.name)
def test_what_programs_wrote_is_imported(path: Path, tmp_path: Path) -> None:
    form, commands, secrets = KNOWN[path.name]
    made = tmp_path / "made.trace"
    result = run("import", path, "-o", made, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert (told["format"], told["commands"], told["responses"]) == (form, commands, commands)
    assert (told["secrets"], told["left_out"]) == (secrets, [])
    assert told["next"][0] == f"cloudcard trace show {made}"
    shown = made.read_text()
    assert SECRETS.search(shown) is None
    with made.open(encoding="ascii") as file:
        lines = [line for _, line in read_all(file)]
    assert lines[0] == Comment(f"imported from {form}")
    if secrets == 1 and form != "ykman":
        assert VERIFY in lines
        assert lines[lines.index(VERIFY) + 1] == OK


@pytest.mark.parametrize("path", NAMED_SAMPLES, ids=lambda path: path.name)
@pytest.mark.parametrize(
    "written",
    [
        lambda said: said.encode("utf-16"),
        lambda said: said.encode("utf-16-le"),
        lambda said: b"\xfe\xff" + said.encode("utf-16-be"),
        lambda said: said.encode("utf-8-sig"),
        lambda said: said.replace("\n", "\r\n").encode(),
        lambda said: re.sub("(?m)^", "\x1b[1;32m", said).replace("\n", "\x1b[0m\n").encode(),
        lambda said: (
            b"<html><pre>"
            + said.replace("&", "&amp;")
            .replace("<", "&lt;")
            .replace(">", "&gt;")
            .replace("\n", "<br>\n")
            .encode()
            + b"</pre>"
        ),
        lambda said: said.replace(" ", "\u00a0").encode(),
    ],
    ids=["utf-16", "no-mark", "utf-16-be", "utf-8-sig", "crlf", "coloured", "html", "blanks"],
)
def test_the_same_is_read_however_it_is_written(
    path: Path, written: object, tmp_path: Path
) -> None:
    assert callable(written)
    copy = tmp_path / "copy.log"
    copy.write_bytes(written(path.read_text(encoding="utf-8", errors="replace")))
    assert apdus(imported(copy, tmp_path)) == apdus(imported(path, tmp_path))


@pytest.mark.parametrize("path", NAMED_SAMPLES, ids=lambda path: path.name)
def test_a_log_that_is_cut_anywhere_is_read_so_far(path: Path) -> None:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    form = KNOWN[path.name][0]
    whole = apdus(list(reading.read(lines, form)))
    for end in range(len(lines)):
        redacted = Redacted(recorded=False)
        try:
            part = apdus(list(redacted.lines(reading.read(lines[:end], form))))
        except TraceError as error:
            assert "ends in an APDU" in str(error)
            continue
        assert len(part) <= len(whole)
    for begin in range(len(lines)):
        try:
            rest = apdus(list(reading.read(lines[begin:], form)))
        except TraceError as error:
            assert SECRETS.search(str(error)) is None
        else:
            assert len(rest) <= len(whole)


@given(st.sampled_from(sorted([*LOGS, *reading.OWN])), st.lists(st.text(max_size=60), max_size=8))
def test_any_text_is_refused_with_its_line_or_read(form: str, texts: list[str]) -> None:
    try:
        list(reading.read(texts, form))
    except TraceError as error:
        assert str(error).startswith("line ")
        assert len(str(error)) < 300


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    sample=st.sampled_from(NAMED_SAMPLES),
    changes=st.lists(
        st.tuples(st.integers(0, 8000), st.binary(max_size=4)), min_size=1, max_size=6
    ),
    cut=st.integers(0, 8000),
)
def test_a_damaged_log_never_breaks_and_never_ends_in_silence(
    sample: Path, changes: list[tuple[int, bytes]], cut: int, tmp_path: Path
) -> None:
    """Bytes that replace some of a sample's, and an end anywhere."""
    whole = bytearray(sample.read_bytes())
    for at, junk in changes:
        place = at % len(whole)
        whole[place : place + len(junk)] = junk
    path, made = tmp_path / "some.log", tmp_path / "made.trace"
    path.write_bytes(bytes(whole[: cut % len(whole)]))
    made.unlink(missing_ok=True)
    result = run("import", path, "-o", made)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert SECRETS.search(result.output.replace(str(tmp_path), "")) is None
    assert result.exit_code == (0 if made.exists() else 1)
    if made.exists():
        assert "\n> " in made.read_text()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    junk=st.binary(max_size=600)
    | st.lists(st.sampled_from(PIECES), max_size=30).map(lambda parts: "".join(parts).encode())
)
def test_any_bytes_are_refused_or_read(junk: bytes, tmp_path: Path) -> None:
    path, made = tmp_path / "junk", tmp_path / "made.trace"
    path.write_bytes(junk)
    made.unlink(missing_ok=True)
    result = run("import", path, "-o", made)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.exit_code == (0 if made.exists() else 1)
    assert not made.exists() or "\n> " in made.read_text()


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xff\xfe", b"\xef\xbb\xbf"])
def test_an_empty_file_is_a_failure(content: bytes, tmp_path: Path) -> None:
    path, out = tmp_path / "empty.log", tmp_path / "out.trace"
    path.write_bytes(content)
    for options in ((), ("--json",)):
        result = run("import", path, "-o", out, *options)
        assert result.exit_code == 1
        assert "is empty" in result.output
    assert not out.exists()


@pytest.mark.parametrize("content", ["Dear all,\nthe card is broken.\n", "\0\1\2\3" * 99])
def test_what_is_not_recognised_names_what_is(content: str, tmp_path: Path) -> None:
    path, out = tmp_path / "mail", tmp_path / "out.trace"
    path.write_text(content)
    result = run("import", path, "-o", out)
    assert result.exit_code == 1
    assert "not recognised; these formats are" in result.output
    assert all(f"  {name} " in result.output for name in ABOUT)
    assert not out.exists()


def test_a_log_without_commands_is_a_failure_and_says_what_its_format_needs(
    tmp_path: Path,
) -> None:
    path, out = tmp_path / "pcscd.log", tmp_path / "out.trace"
    path.write_text("00000000 debuglog.c:390:DebugLogSetLevel() debug level=debug\n")
    result = run("import", path, "-o", out)
    assert result.exit_code == 1
    assert "no command was found" in result.output
    assert "pcscd --foreground --debug --apdu" in result.output
    assert list(tmp_path.iterdir()) == [path]


def test_a_capture_of_the_newer_kind_names_its_converter(tmp_path: Path) -> None:
    path = tmp_path / "sim.pcapng"
    path.write_bytes(b"\x0a\x0d\x0d\x0a" + bytes(40))
    result = run("import", path, "-o", tmp_path / "out.trace")
    assert result.exit_code == 1
    assert "editcap -F pcap" in result.output


def test_it_is_told_what_was_read_and_what_next(tmp_path: Path) -> None:
    out = tmp_path / "a trace.trace"
    result = run("import", SAMPLES / "pcscd.log", "-o", out)
    assert "14 commands from pcscd, 1 secret replaced." in result.output
    assert f"cloudcard trace show '{out}'" in result.output
    assert f"cloudcard trace replay '{out}' --reader NAME" in result.output
    assert "--card IMAGE" in result.output
    replayed = run("replay", out)
    assert replayed.exit_code == 1
    assert "--card IMAGE" in replayed.output


def test_what_is_left_out_is_told() -> None:
    begins_late = ["SW: 90 00", "APDU: 00 A4 04 00", "SW: 6A 82"]
    first, *rest = reading.read(begins_late, "pcscd")
    assert first == Comment("line 1: a response to a command before the beginning, left out")
    assert rest == [Sent(bytes.fromhex("00A40400")), Received(b"\x6a\x82")]
    ends_early = ["Outgoing APDU (4 bytes):", "00 A4 04 00", "Incoming APDU (9 bytes):", "90 00"]
    with pytest.raises(TraceError, match="line 1: the text ends"):
        list(reading.read(ends_early[:1], "opensc"))
    *_, last = reading.read(ends_early, "opensc")
    assert last == Comment("the text ends in an APDU, which is left out")


def test_a_passcode_that_scdaemon_does_not_log_is_there_as_hidden() -> None:
    lines = (SAMPLES / "scdaemon-2.4.log").read_text().splitlines()
    assert Sent(bytes.fromhex("0020008206303030303030")) in list(reading.read(lines, "scdaemon"))


def test_threads_of_pcsc_spy_are_told_apart() -> None:
    calls = [
        *("SCardTransmit", "    (t1) SCardTransmit", " i bSendLength 0x00000004 (4)"),
        *("    (t1)  i bSendLength 0x00000005 (5)", "    (t1)  i bSendBuffer"),
        *(" i bSendBuffer", "    (t1)  i  0000 00 C0 00 00 05 .....", " i  0000 00 A4 04 00 ...."),
        *(" o bRecvLength 0x00000002 (2)", " o bRecvBuffer", " o  0000 6A 82 j."),
        " => Command successful. (SCARD_S_SUCCESS [0x00000000])  [0.000582]",
        "    (t1)  => Card was reset. (SCARD_W_RESET_CARD [0x80100068])  [0.000582]",
    ]
    assert list(reading.read(calls, "pcsc-spy")) == [
        Sent(bytes.fromhex("00A40400")),
        Received(b"\x6a\x82"),
        Sent(bytes.fromhex("00C0000005")),
    ]


def test_scriptor_s_resets_are_kept() -> None:
    lines = (SAMPLES / "scriptor.txt").read_text().splitlines()
    assert Power.RESET in list(reading.read(lines, "scriptor"))


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("C-APDU: 00A4040005A000000308", "hex-lines"),
        ("Sending APDU (10 bytes): 0x00 0xA4 0x04 0x00 0x05 0xA0 0x00 0x00 0x03 0x08", "hex-lines"),
        ("-> 00-A4-04-00-05-A0-00-00-03-08", "hex-lines"),
        ("tx 00:a4:04:00:05:a0:00:00:03:08", "hex-lines"),
        ("command {0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08};", "hex-lines"),
        ("send([0, 164, 4, 0, 5, 160, 0, 0, 3, 8])", "decimal-array"),
        ("sent [00, a4, 04, 00, 05, a0, 00, 00, 03, 08]", "hex-array"),
        ("00 A4 04 00 05 A0 00 00 03 08", "hex"),
    ],
)
def test_notations_of_bytes(line: str, form: str) -> None:
    assert reading.guess([line]) == form
    assert list(reading.read([line], form)) == [Sent(SELECT)]


def test_a_status_word_apart_belongs_to_the_response() -> None:
    texts = ["sent: 00CB3FFF035C017E", "received: 7E00 SW=9000", "sent: 00CB3FFF", "SW: 6A82"]
    assert list(reading.read(texts, "hex-lines"))[1::2] == [
        Received(bytes.fromhex("7E009000")),
        Received(b"\x6a\x82"),
    ]


@pytest.mark.parametrize(
    "command",
    [
        "0020008008313233343536ffff",
        "00200081063132333435 36",
        "0021008108a1063132333435 36",
        "00240080103132333435363132333435363132",
        "002c0080083132333435363132",
        "00ff ffff 1b 0a9b18" + "313233343536" * 4,
        "00fe119a08 0606 313233343536",
        "00db3fff0a 4d08 b600 9203 3132333435 36"[:40],
        "00da00d308 3132333435363132",
        "80d8000108 3132333435363132",
        "00db3fff135c035fc10953 0c" + "313233343536" * 2,
    ],
)
def test_secrets_of_every_kind_of_command_are_replaced(command: str) -> None:
    made = list(Redacted(recorded=False).lines(reading.read([f"APDU: {command}"], "hex-lines")))
    (sent,) = apdus(made)
    assert isinstance(sent, Sent)
    assert SECRETS.search(sent.apdu.hex()) is None


@pytest.mark.parametrize("form", sorted([*LOGS, *reading.OWN]))
@pytest.mark.parametrize(
    "wrong", ["0020008008313233343536f", "00 20 00 80 08 31 32 33 34 35 36 FX", "003132333435366"]
)
def test_no_error_quotes_an_apdu(form: str, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong"
    for mark in ("", "> ", "APDU: ", '{"event": "command", "text": "'):
        path.write_text(f"{mark}{wrong}{chr(34) + '}' if mark.startswith('{') else ''}\n")
        result = run("import", "--from", form, path, "-o", tmp_path / "out")
        assert result.exit_code == 1
        for shown in (result.output, run("show", path).output, run("replay", path).output):
            said = shown.replace(str(tmp_path), "")
            assert SECRETS.search(said) is None
            assert "3132" not in said


@pytest.mark.parametrize("name", ["replay", "export"])
def test_a_trace_of_nothing_is_no_success(name: str, tmp_path: Path) -> None:
    path = tmp_path / "empty.trace"
    path.write_text("cloudcard trace 1\n# imported from nothing\n")
    options = ("--to", "hex", "-o", tmp_path / "out") if name == "export" else ()
    result = run(name, path, *options)
    assert result.exit_code == 1
    assert "no commands" in result.output
    assert not (tmp_path / "out").exists()


def test_a_line_without_end_is_not_taken_in() -> None:
    with pytest.raises(TraceError, match="line 1: the line has more"):
        list(reading.read(["x" * 400_001], "pcscd"))
