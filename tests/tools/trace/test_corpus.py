"""The corpus of tests/traces: each is replayed, nothing secret is in it, and it notices changes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os.channels import Channel, Channels
from card_os.commands import Select
from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY
from card_os.status import SW, CardError
from card_os.trace.lines import Image, Received, Step, read_all
from cloudcard_tools.trace.replay.cards import FOLDER
from cloudcard_tools.trace.replay.replaying import SUFFIX, replay
from cloudcard_tools.trace.replay.report import report
from recording.secrecy import found, key_forms, of_everybody, passcode_forms
from recording.sessions import PROBES, SESSIONS
from recording.stage import Studio
from support.probes import Probe

CORPUS = Path(__file__).parents[2] / "traces"
TRACES = sorted(CORPUS.rglob(f"*{SUFFIX}"))
MORE_TO_FETCH = 0x61
LARGEST = 1024 * 1024  # bytes, of all together
EACH = pytest.mark.parametrize(
    "path", TRACES, ids=[each.relative_to(CORPUS).with_suffix("").as_posix() for each in TRACES]
)


@EACH
def test_a_trace_of_the_corpus_replays(path: Path) -> None:
    outcome = replay(path)
    assert outcome.passed, "\n".join(report(outcome))
    assert outcome.commands > 0


def test_every_session_has_its_trace_and_its_folder_no_others() -> None:
    sessions = {*(each.name for each in SESSIONS), *(f"probes/{name}" for name in PROBES)}
    folders = {name.split("/")[0] for name in sessions}
    names = {path.relative_to(CORPUS).with_suffix("").as_posix() for path in TRACES}
    assert {name for name in names if name.split("/")[0] in folders} == sessions


@EACH
def test_its_steps_have_names(path: Path) -> None:
    with path.open(encoding="ascii") as file:
        lines = [line for _, line in read_all(file)]
    assert any(isinstance(line, Step) for line in lines)


def test_the_corpus_is_small_and_whole() -> None:
    images = set((CORPUS / FOLDER).iterdir())
    assert sum(each.stat().st_size for each in (*TRACES, *images)) <= LARGEST
    assert {f"{each.hex()}.json" for each in map(image_of, TRACES)} == {
        each.name for each in images
    }


def image_of(path: Path) -> bytes:
    with path.open(encoding="ascii") as file:
        return next(line.sha256 for _, line in read_all(file) if isinstance(line, Image))


@cache
def status_words() -> Mapping[Path, frozenset[int]]:
    """The status words that each trace contains."""
    words = {}
    for path in TRACES:
        with path.open(encoding="ascii") as file:
            said = [line.apdu for _, line in read_all(file) if isinstance(line, Received)]
        words[path] = frozenset(int.from_bytes(each[-2:]) for each in said)
    return words


@pytest.mark.parametrize(
    ("now", "then", "said"),
    [
        (SW.NOT_FOUND, SW.REFERENCE_DATA_NOT_FOUND, ("6A82 (not found)", "6A88 (reference data")),
        (SW.SECURITY_STATUS_NOT_SATISFIED, SW.CONDITIONS_NOT_SATISFIED, ("6982", "6985")),
        (SW.AUTHENTICATION_METHOD_BLOCKED, 0x63C0, ("6983 (authentication", "63C0 (0 tries left)")),
        (0x63C2, 0x6300, ("63C2 (2 tries left)", "6300 (verification failed)")),
        (SW.CLA_NOT_SUPPORTED, SW.INS_NOT_SUPPORTED, ("6E00 (cla not", "6D00 (ins not")),
        (SW.INS_NOT_SUPPORTED, SW.CLA_NOT_SUPPORTED, ("6D00 (ins not", "6E00 (cla not")),
    ],
    ids=lambda value: f"{value:04X}" if isinstance(value, int) else "",
)
def test_a_change_of_a_status_word_fails_exactly_the_traces_that_have_it(
    now: int, then: int, said: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    concerned = {path for path, words in status_words().items() if now in words}
    assert concerned, "no trace has it"
    assert concerned != set(TRACES)
    change_status_word(now, then, monkeypatch)
    outcomes = {path: replay(path) for path in TRACES}
    assert {path for path, outcome in outcomes.items() if not outcome.passed} == concerned
    for path in concerned:
        first = outcomes[path].differences[0]
        assert path.read_text("ascii").splitlines()[first.number - 1].endswith(f"{now:04x}")
        assert isinstance(first.actual, Received)
        assert first.actual.apdu == then.to_bytes(2)
        told = list(report(outcomes[path]))
        assert f"line {first.number}, step {outcomes[path].step!r}" in told[0]
        assert told[1].startswith("  command   ")
        assert told[2].startswith(f"  expected  {said[0]}")
        assert told[3].startswith(f"  actual    {said[1]}")


def errors() -> list[int]:
    """Every status word of the corpus by which a command fails."""
    words = frozenset[int]().union(*status_words().values())
    return sorted(word for word in words if word != SW.OK and word >> 8 != MORE_TO_FETCH)


@pytest.mark.parametrize("now", errors(), ids=lambda now: f"{now:04X}")
def test_every_failure_of_the_corpus_is_noticed_where_it_is(
    now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    concerned = {path for path, words in status_words().items() if now in words}
    change_status_word(now, SW.EXECUTION_ERROR, monkeypatch)
    assert {path for path in TRACES if not replay(path).passed} == concerned


def change_status_word(now: int, then: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the card end with another status word wherever it ended with this one."""
    made = CardError.__init__

    def otherwise(self: CardError, sw: int, why: str = "") -> None:
        made(self, then if sw == now else sw, why)

    monkeypatch.setattr(CardError, "__init__", otherwise)


def test_a_change_in_one_handler_fails_the_traces_that_go_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SELECT of what is not there: the visits of strangers, and no program that knows PIV."""
    select = Channels.select

    def otherwise(self: Channels, channel: Channel, wanted: Select) -> bytes:
        try:
            return select(self, channel, wanted)
        except CardError:
            raise CardError(SW.FUNCTION_NOT_SUPPORTED) from None

    with_it = {
        path
        for path in TRACES
        if re.search(r"^> ..a4.*\n< (?!9000|61).{4}$", path.read_text("ascii"), re.MULTILINE)
    }
    assert with_it
    monkeypatch.setattr(Channels, "select", otherwise)
    assert {path for path in TRACES if not replay(path).passed} == with_it


@EACH
def test_no_secret_of_the_recordings_is_in_a_trace(path: Path) -> None:
    assert found(path.read_text("ascii"), of_everybody()) == set()


def test_no_secret_is_in_a_card_image() -> None:
    for path in (CORPUS / FOLDER).iterdir():
        assert found(path.read_text("ascii"), of_everybody()) == set()


@pytest.mark.parametrize(
    "form",
    [
        "313233343536ffff",  # as VERIFY has it
        "3132333435363738",  # the PUK
        "123456ff",  # BCD
        "26123456",  # a PIN block
        "310032003300340035003600",  # UTF-16
        "12345678",
        FACTORY_MANAGEMENT_KEY.hex(),
        FACTORY_MANAGEMENT_KEY[5:20].hex().upper(),  # in parts
        "in words: 12345678",
    ],
)
def test_a_secret_would_be_found(form: str) -> None:
    assert found(f"> 0020008008{form}", of_everybody())


def test_a_recording_with_a_secret_in_it_is_not_kept(tmp_path: Path) -> None:
    """GET DATA with a PIN in its data: no program does that, and no redaction looks there."""
    leak = Probe("a leak", "00CB3FFF 08 313233343536FFFF 00", "6A80")
    with pytest.raises(AssertionError, match="passcode 123456"):
        Studio(None, tmp_path / "kept", tmp_path / "scratch").visit("leak", [leak])
    assert list((tmp_path / "kept").rglob(f"*{SUFFIX}")) == []


def test_what_is_recorded_anew_is_the_same(tmp_path: Path) -> None:
    """But for who the card is, and when it was."""
    name = "probes/windows-plug-and-play"
    new = Studio(None, tmp_path / "kept", tmp_path / "scratch").visit(
        name, PROBES["windows-plug-and-play"]
    )
    old = CORPUS / f"{name}{SUFFIX}"
    assert replay(new).passed
    own = re.compile("@ (card|clock) .*|# .*\n")  # comments say why, in words that may change
    assert own.sub("", new.read_text()) == own.sub("", old.read_text())


def test_the_plugin_replays_the_corpus() -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
            *("--apdu-traces", str(CORPUS), "--rootdir", str(CORPUS), str(CORPUS)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout
    assert f"{len(TRACES)} passed" in ended.stdout


@given(
    passcode=st.text("0123456789", min_size=6, max_size=8),
    before=st.binary(max_size=4),
    padded=st.booleans(),
)
def test_any_passcode_would_be_found(passcode: str, before: bytes, padded: bool) -> None:
    octets = passcode.encode() + b"\xff" * (8 - len(passcode)) * padded
    line = "> " + (before + octets).hex()
    assert found(line, dict.fromkeys(passcode_forms(passcode), "it")) == {"it"}


@given(key=st.binary(min_size=16, max_size=64), at=st.integers(0, 50))
def test_most_of_a_key_would_be_found(key: bytes, at: int) -> None:
    part = key[min(at, len(key) - 12) :]
    assert found(f"> {part.hex()}", dict.fromkeys(key_forms(key), "it")) == {"it"}
