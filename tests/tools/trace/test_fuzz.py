"""Traces changed at random: repeatable, and what is kept replays."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result

from card_os import piv
from card_os.card import Card
from card_os.keys import TriesLeft, Verified
from card_os.piv.names import AID
from card_os.trace.lines import HEADER, Answered, Image, Line, Power, Sent, write
from card_os.trace.replay import SeededRandom, retell
from cloudcard_tools.trace.command import trace
from cloudcard_tools.trace.fuzz import fuzzing
from cloudcard_tools.trace.replay import cards
from support.fakes import sample_image


def run(*arguments: object) -> Result:
    return CliRunner().invoke(trace, [str(each) for each in arguments])


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    image = sample_image()
    told: list[Line] = [
        Power.ON,
        Sent(bytes([0x00, 0xA4, 0x04, 0x00, len(AID), *AID])),
        Sent(bytes.fromhex("0020008008303030303030ffff")),
        Answered(Verified(b"#1")),
        Sent(bytes.fromhex("00200080")),
        Power.RESET,
        Sent(bytes.fromhex("00200080")),
        Answered(TriesLeft(2, 3, False)),
        Sent(bytes.fromhex("0087119a0a7c0882008104cafebabe00")),
        Sent(bytes.fromhex("00cb3fff055c035fc10200")),
    ]
    random = SeededRandom()
    said = retell(piv.new_card(image, random), random, enumerate(told, 3))
    lines = [HEADER, *map(write, (Image(cards.save(image, folder)), *said))]
    (folder / "one.trace").write_text("\n".join(lines) + "\n")
    return folder


def test_the_same_seed_keeps_the_same_traces(corpus: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        result = run("fuzz", corpus, "--seed", 5, "--runs", 300, "--out", tmp_path / name, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.output)["attempts"] == 300
    kept = [
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.trace")}
        for name in ("one", "two")
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) > 3


def test_what_is_kept_replays(corpus: Path, tmp_path: Path) -> None:
    assert run("fuzz", corpus, "--runs", 300, "--out", tmp_path / "out").exit_code == 0
    replayed = run("replay", tmp_path / "out")
    assert replayed.exit_code == 0, replayed.output


def test_a_bug_in_the_card_is_found_and_kept(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = piv.new_card

    def broken(image: object, random: SeededRandom) -> Card:  # noqa: ARG001
        def careless(size: int) -> bytes:
            raise ZeroDivisionError(size)

        return whole(sample_image(), careless)

    monkeypatch.setattr(fuzzing.piv, "new_card", broken)
    result = run("fuzz", corpus, "--runs", 20, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "fault ZeroDivisionError" in result.output
    assert len(list((tmp_path / "out").glob("broken-*.trace"))) == 1


def test_changes_are_of_every_kind(corpus: Path) -> None:
    known = fuzzing.load(corpus / "one.trace", None)
    made = {tuple(fuzzing.changed(Random(seed), [known])[1]) for seed in range(200)}
    assert len(made) > 150
    assert {len(told) > len(known.told) for told in made} == {True, False}


def test_a_corpus_without_traces_is_told(tmp_path: Path) -> None:
    assert run("fuzz", tmp_path, "--out", tmp_path / "out").exit_code == 1
