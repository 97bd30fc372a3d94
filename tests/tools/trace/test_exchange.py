"""Traces for other programs, and back again."""

from __future__ import annotations

import json
import shutil
import struct
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from card_os.piv import image_file
from card_os.trace.lines import HEADER, Line, Received, Sent, read_all, write
from card_os.trace.words import TraceError
from cloudcard_tools.demo.programs import must
from cloudcard_tools.trace.command import trace
from cloudcard_tools.trace.formats import own, pcap, reading
from cloudcard_tools.trace.formats.reading import HEX, JSON
from support.fakes import sample_image
from support.trace_lines import lines as any_lines

CORPUS = Path(__file__).parents[2] / "traces"
LOGIN = CORPUS / "pkcs11-tool" / "sign-p256.trace"
VERIFY = Sent(bytes.fromhex("0020008008303030303030FFFF"))
OK = Received(b"\x90\x00")

pairs = st.tuples(st.binary(min_size=4, max_size=300), st.binary(min_size=2, max_size=300))
talks = st.lists(pairs, max_size=8)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(trace, [str(each) for each in arguments])


def imported(path: Path, folder: Path, *options: object) -> list[Line]:
    made = folder / "made.trace"
    result = run("import", path, "-o", made, *options)
    assert result.exit_code == 0, result.output
    return lines_of(made)


def lines_of(path: Path) -> list[Line]:
    with path.open(encoding="ascii") as file:
        return [line for _, line in read_all(file)]


@given(talks)
def test_what_is_exported_is_imported(talk: list[tuple[bytes, bytes]]) -> None:
    lines = [line for command, response in talk for line in (Sent(command), Received(response))]
    capture = b"".join(pcap.write((0, *pair) for pair in talk))
    assert list(pcap.read(BytesIO(capture))) == lines
    assert list(reading.read(map(str, map(own.to_hex, lines)), HEX)) == lines


@given(st.lists(any_lines(), max_size=12))
def test_json_has_every_line(whole: list[Line]) -> None:
    texts = [own.to_json(line) for line in whole]
    assert [write(line) for line in reading.read(texts, JSON)] == [write(line) for line in whole]


@given(st.binary(max_size=200))
def test_a_hostile_capture_is_refused_or_has_nothing(junk: bytes) -> None:
    whole = b"".join(pcap.write([(0, bytes(4), b"\x90\x00")]))
    with pytest.raises(TraceError, match="packet 2"):
        list(pcap.read(BytesIO(whole + b"\xff" * 16 + junk)))
    try:
        list(pcap.read(BytesIO(whole[:24] + junk)))
    except TraceError as error:
        assert "packet" in str(error)


@pytest.mark.parametrize("form", ["hex", "jsonl", "pcap"])
def test_a_recorded_trace_comes_back(form: str, tmp_path: Path) -> None:
    out, back = tmp_path / "out", tmp_path / "back.trace"
    assert run("export", "--to", form, LOGIN, "-o", out).exit_code == 0
    assert run("import", out, "-o", back).exit_code == 0
    kinds = {"hex": own.HEX_LINES, "pcap": (Sent, Received), "jsonl": object}[form]
    wanted = [write(line) for line in lines_of(LOGIN) if isinstance(line, kinds)]
    got = [write(line) for line in lines_of(back)]
    assert got[0 if form == "jsonl" else 1 :] == wanted


def test_json_lines_are_documents(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("export", "--to", "jsonl", LOGIN, "-o", out)
    events = [json.loads(line) for line in out.read_text().splitlines()]
    assert {"command", "response", "request", "result", "step", "setting"} <= {
        each["event"] for each in events
    }
    assert all(each.keys() == {"event", "text"} for each in events)


def test_wireshark_reads_what_is_exported(tmp_path: Path) -> None:
    out = tmp_path / "out.pcap"
    assert run("export", "--to", "pcap", LOGIN, "-o", out).exit_code == 0
    shown = must(["tshark", "-r", str(out), "-T", "fields", "-e", "_ws.col.Info"]).splitlines()
    commands = [line.apdu for line in lines_of(LOGIN) if isinstance(line, Sent)]
    assert len(shown) == len(commands)
    assert "SELECT Application 627601ff000000 : Wrong parameters: File not found" in shown[0]
    verify = next(at for at, apdu in enumerate(commands) if apdu[1] == 0x20 and len(apdu) > 5)
    assert "VERIFY CHV CHV=128" in shown[verify]


def test_a_tracer_s_packets_are_split_where_the_header_says(tmp_path: Path) -> None:
    """As SIM tracers write them: Ethernet, nothing told of where a command ends."""
    exchanges = [
        (0, bytes.fromhex("00A4000C023F00"), b"\x6a\x82"),
        (0, bytes.fromhex("00C0000003"), b"\1\2\3\x90\x00"),
        (0, bytes.fromhex("0020008008") + b"123456\xff\xff", b"\x90\x00"),
    ]
    ours = BytesIO(b"".join(pcap.write(exchanges)))
    capture = tmp_path / "sim.pcap"
    with capture.open("wb") as file:
        file.write(ours.read(20) + struct.pack("<I", pcap.ETHERNET))
        ours.read(4)
        while head := ours.read(16):
            size = struct.unpack("<IIII", head)[2]
            packet = bytearray(ours.read(size))
            packet[32:34] = b"\0\0"  # where ours say how long the command is
            file.write(struct.pack("<IIII", 0, 0, size + 14, size + 14) + bytes(14) + packet)
    lines = imported(capture, tmp_path)
    assert lines[1:] == [
        *(Sent(exchanges[0][1]), Received(exchanges[0][2])),
        *(Sent(exchanges[1][1]), Received(exchanges[1][2])),
        *(VERIFY, OK),
    ]


def test_an_imported_trace_replays_with_the_card_s_image(tmp_path: Path) -> None:
    text = tmp_path / "talk.txt"
    text.write_text(
        "= select\n00A4040009A00000030800001000\n6A82\n@ reset\n> 00 20 00 80\n< 6D00\n"
    )
    image = tmp_path / "card.json"
    image.write_bytes(image_file.encode(sample_image()))
    imported(text, tmp_path, "--card", image)
    result = run("replay", tmp_path / "made.trace")
    assert "2 commands" in result.output
    assert "unusable" not in result.output


@pytest.mark.parametrize(
    ("form", "text", "said"),
    [
        ("hex", "> 00a4040000\n< zz\n", "line 2"),
        ("hex", "< 9000\n", "line 1: a response to no command"),
        ("hex", "00a4\n", "line 1: too short"),
        ("hex", "~ 5\n", "line 1"),
        ("hex", "@ seed 00\n", "line 1"),
        ("jsonl", "{}\n", "line 1"),
        ("jsonl", '{"event": "secret", "text": ""}\n', "line 1"),
        ("jsonl", "[" * 5000 + "\n", "line 1"),
        ("opensc", "Outgoing APDU (12 bytes):\n00 A4\n", "line 2"),
        ("opensc", "Outgoing APDU (999999 bytes):\n", "line 1"),
        ("scdaemon", "DBG:  response: sw=9000  datalen=4\n", "line 1"),
        ("pcap", "no capture", "pcap"),
        ("hex", "= a step alone\n", "no command was found"),
        ("jsonl", '{"event": "comment", "text": "x"}\n', "no command was found"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(
    form: str, text: str, said: str, tmp_path: Path
) -> None:
    bad, out = tmp_path / "bad", tmp_path / "out"
    bad.write_text(text)
    result = run("import", "--from", form, bad, "-o", out)
    assert result.exit_code == 1
    assert said in result.output
    assert list(tmp_path.iterdir()) == [bad]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    copy = tmp_path / "copy.trace"
    shutil.copy(LOGIN, copy)
    for command in (("export", "--to", "hex"), ("import", "--from", "hex")):
        result = run(*command, LOGIN, "-o", copy)
        assert result.exit_code == 1
        assert "exists: name another file" in result.output
    assert copy.read_text().startswith(HEADER)
