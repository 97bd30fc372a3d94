"""The bench of the card itself: small runs of all of it, and its tables."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from card_os.apdu import Command
from card_os.piv import new_card
from cloudcard_tools.bench import card, command, emulator, peer


def test_everything_is_measured_and_the_goals_are_met() -> None:
    heard: list[int] = []
    result = card.measure(50, 20, with_peer=False, done=heard.append)
    facts = command.card_facts(result)
    assert sum(heard) == card.steps(50, 20)
    assert set(card.NAMES) <= set(facts)
    # Far from the goals, so that no busy machine fails this: it is the bench that measures.
    assert all(0 < float(facts[name]) <= 10 * limit for name, limit in card.GOALS.items())
    assert result.get_data_2k_us < result.get_data_12k_us


def test_a_cards_memory_holds_its_objects() -> None:
    kib = card.memory(20, lambda _: None)
    assert kib > 4 * card.CERTIFICATE_BYTES / card.KIB


def test_another_answer_than_success_is_no_measurement() -> None:
    with pytest.raises(click.ClickException, match="6A82, not 9000"):
        card.send(new_card(card.new_image(), bytes), bytes.fromhex("00A4040005A000000309"))


def test_the_emulators_package_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(peer, "PROGRAM", tmp_path / "vicc")
    done = CliRunner().invoke(command.bench, ["card", "--count", "1", "--cards", "1", "--peer"])
    assert done.exit_code == 1
    assert "apt-get install vsmartcard-vpicc" in done.output


def test_the_emulator_is_asked_for_the_same_bytes() -> None:
    sent: list[Command] = []

    def execute(raw: bytes) -> bytes:
        sent.append(Command.parse(raw))
        return b"\x90\x00"

    result = emulator.measure(execute, 1)
    assert min(result.select_us, result.get_data_2k_us, result.verify_us) > 0
    once = emulator.WARM_UP + 1
    read = [each.ne for each in sent if each.ins == 0xB0]
    assert sum(read) == once * (emulator.LONG_BYTES + emulator.LONGER_BYTES)
    with pytest.raises(SystemExit, match="failed"):
        emulator.measure(lambda _: b"\x6a\x82", 1)


@pytest.mark.parametrize("with_peer", [True, False])
def test_the_command(with_peer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    other = emulator.Result(50, 600, 3700, 60) if with_peer else None
    result = card.Result(3, 44, 122, 6, 9, 9.2, 10, 5, other, "a computer")
    monkeypatch.setattr(card, "measure", lambda *_, **__: result)
    shown = CliRunner().invoke(command.bench, ["card"]).stdout
    assert "a computer" in shown
    assert ("vsmartcard" in shown) is with_peer
    facts = json.loads(CliRunner().invoke(command.bench, ["card", "--json"]).stdout)
    assert (facts["select_us"], facts.get("peer_select_us")) == (3, 50 if with_peer else None)
