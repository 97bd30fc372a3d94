"""Traces from and for other programs."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from card_os.trace.lines import Received, Sent
from card_os.trace.words import TraceError
from cloudcard_tools.trace import logs, pcap, trace

pairs = st.tuples(
    st.binary(min_size=4, max_size=300).map(Sent), st.binary(min_size=2, max_size=300).map(Received)
)
talks = st.lists(pairs, max_size=8).map(lambda each: [apdu for pair in each for apdu in pair])
LOG = """00000000 [1] winscard.c:1611:SCardTransmit() Send Protocol: T=1
00000012 [1] APDU: 00 20 00 80 08 31 32 33 34 35 36 FF FF
00000090 [1] SW: 90 00
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(trace, [str(each) for each in arguments])


@given(talks)
def test_what_is_exported_is_imported(talk: list[Sent | Received]) -> None:
    assert list(pcap.read(BytesIO(b"".join(pcap.write(talk))))) == talk
    assert list(logs.read(map(logs.to_hex, talk), "hex")) == talk
    assert list(logs.read(map(logs.to_json, talk), "jsonl")) == talk


@given(st.binary(max_size=200))
def test_a_hostile_capture_is_refused(junk: bytes) -> None:
    whole = b"".join(pcap.write([Sent(bytes(4))]))
    with pytest.raises(TraceError, match="packet 2"):
        list(pcap.read(BytesIO(whole + b"\xff" * 16 + junk)))


def test_a_passcode_of_a_log_is_not_written(tmp_path: Path) -> None:
    log, made = tmp_path / "pcscd.log", tmp_path / "made.trace"
    log.write_text(LOG)
    assert run("import", "--from", "pcscd", log, "-o", made).exit_code == 0
    assert made.read_text().splitlines()[2:] == ["> 0020008008303030303030ffff", "< 9000"]


@pytest.mark.parametrize("form", ["hex", "jsonl", "pcap"])
def test_a_trace_comes_back(form: str, tmp_path: Path) -> None:
    first, out, back = (tmp_path / name for name in ("a.trace", "out", "b.trace"))
    first.write_text("cloudcard trace 1\n# Imported from X.\n> 00a4040000\n< 6a82\n")
    assert run("export", "--to", form, first, "-o", out).exit_code == 0
    assert run("import", "--from", form, out, "-o", back).exit_code == 0
    assert back.read_text() == first.read_text().replace("X", form)


def test_a_bad_line_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    bad, out = tmp_path / "bad", tmp_path / "out"
    bad.write_text("> 00a4040000\n< zz\n")
    result = run("import", "--from", "hex", bad, "-o", out)
    assert result.exit_code == 1
    assert "line 2" in str(result.output)
    assert list(tmp_path.iterdir()) == [bad]
