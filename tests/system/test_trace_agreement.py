"""A session recorded from real programs replays in this process, and through pcscd at our reader:
all three agree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from card_os.piv import new_card
from card_os.piv.names import Algorithm, Ins
from card_os.trace.lines import Received, Sent, read_all
from cloudcard_tools.demo import programs
from cloudcard_tools.demo.programs import must
from cloudcard_tools.shared import pcsc
from cloudcard_tools.trace.command import trace
from cloudcard_tools.trace.record.recording import recorded
from reader_bridge.local.keys import LocalKeys
from reader_bridge.local.making import plain_card
from support.authority import Authority
from support.system_cards import PIN, certified, in_slot

READER = "Virtual PCD 00 00"
Talk = (Sent, Received)
SCRIPT = """\
= select
00A4040005A000000308
= log in
00200080 08 {pin}
= sign
0087119A 26 7C24820081 20 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F 00
= agree
0087119D 47 7C458200 85 41 POINT 00
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(trace, [str(each) for each in arguments])


class Bench:
    """A card of which several copies are put into the reader, one after the other."""

    def __init__(self, client: pcsc.Client, folder: Path, algorithm: Algorithm) -> None:
        self._client = client
        made = plain_card(algorithm, os.urandom, datetime.now(UTC))
        self._made = made
        self.image, _ = certified(made.image(), Authority())
        self.trace = folder / "session.trace"
        self.pin = folder / "pin"
        self.pin.write_text(PIN)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        keys = LocalKeys(self._made, os.urandom)
        with (
            recorded(self.image, self.trace) as tape,
            in_slot(self._client, tape.card, keys, 0, tape.recorder),
        ):
            yield

    @contextmanager
    def inserted(self) -> Iterator[None]:
        keys = LocalKeys(self._made, os.urandom)
        with in_slot(self._client, new_card(self.image, os.urandom), keys, 0):
            yield


@pytest.mark.parametrize("algorithm", [Algorithm.ECC_P256, Algorithm.RSA_2048])
def test_recorded_replayed_and_through_pcscd_agree(
    virtual_readers: pcsc.Client, tmp_path: Path, algorithm: Algorithm
) -> None:
    bench = Bench(virtual_readers, tmp_path, algorithm)
    mechanism = "ECDSA-SHA256" if algorithm is Algorithm.ECC_P256 else "SHA256-RSA-PKCS"
    data = tmp_path / "data"
    data.write_bytes(b"to be signed")
    signature = tmp_path / "signature"
    with bench.recorded():
        must(["pkcs15-tool", "--reader", "0", "--list-certificates"])
        must(
            [
                *("pkcs11-tool", "--login", "--pin", PIN, "--sign", "--id", "01"),
                *("--mechanism", mechanism, "--input-file", str(data)),
                *("--output-file", str(signature)),
            ]
        )
    assert signature.read_bytes()
    assert PIN.encode().hex() not in bench.trace.read_text()
    in_process = run("replay", bench.trace)
    assert in_process.exit_code == 0, in_process.output
    with bench.inserted():
        through = run("replay", bench.trace, "--reader", READER, "--pin-file", bench.pin)
        assert through.exit_code == 0, through.output
        without_pin = run("replay", bench.trace, "--reader", READER)
    assert without_pin.exit_code == 1
    assert "--pin-file" in without_pin.output
    other = Bench(virtual_readers, tmp_path, algorithm)
    with other.inserted():
        options = ("--reader", READER, "--pin-file", bench.pin)
        assert run("replay", bench.trace, *options).exit_code == 1
        assert run("replay", bench.trace, *options, "--other-card").exit_code == 0


def test_a_card_is_recorded_by_a_script(virtual_readers: pcsc.Client, tmp_path: Path) -> None:
    bench = Bench(virtual_readers, tmp_path, Algorithm.ECC_P256)
    point = bench.image.keys[0x9D].public[2:].hex()
    script = tmp_path / "look.txt"
    script.write_text(SCRIPT.replace("POINT", point))
    with bench.inserted():
        made = run(
            *("record", "--reader", "virtual pcd 00 00", "--script", script),
            *("--output", bench.trace, "--pin-file", bench.pin),
        )
        assert made.exit_code == 0, made.output
        again = run("replay", bench.trace, "--reader", READER, "--pin-file", bench.pin)
        assert again.exit_code == 0, again.output
    with bench.trace.open(encoding="ascii") as file:
        lines = [line for _, line in read_all(file)]
    answers = [line.apdu for line in lines if isinstance(line, Received)]
    assert [each[-2:] for each in answers] == [b"\x90\x00"] * 4
    assert Sent(bytes.fromhex("0020008008303030303030FFFF")) in lines
    assert answers[3] == bytes.fromhex("7C228220") + bytes(32) + b"\x90\x00"
    assert PIN.encode().hex() not in bench.trace.read_text()
    in_process = run("replay", bench.trace)
    assert in_process.exit_code == 1
    assert "replay what a card in a reader has answered with --reader" in in_process.output
    assert run("replay", bench.trace, "--reader", "Nobody's").exit_code == 1


def test_the_log_of_a_program_is_what_the_reader_has_recorded(
    virtual_readers: pcsc.Client, tmp_path: Path
) -> None:
    bench = Bench(virtual_readers, tmp_path, Algorithm.ECC_P256)
    with bench.recorded():
        ended = programs.run(
            ["pkcs15-tool", "--reader", "0", "--verify-pin", "--pin", PIN, "--list-certificates"],
            OPENSC_DEBUG="9",
        )
    log, made = tmp_path / "opensc.log", tmp_path / "imported.trace"
    log.write_text(ended.errors)
    result = run("import", log, "-o", made)
    assert result.exit_code == 0, result.output
    told = [
        [line for _, line in read_all(path.read_text().splitlines()) if isinstance(line, Talk)]
        for path in (made, bench.trace)
    ]
    commands = {line.apdu[1] for line in told[0] if isinstance(line, Sent)}
    assert commands >= {Ins.VERIFY, Ins.GET_DATA}
    assert told[0] == told[1]
