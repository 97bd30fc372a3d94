"""`cloudcard reader --local`: which card it takes, and what it says of a file that it cannot."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from card_os.keys import ChangePasscode, TriesLeft, VerifyPasscode
from card_os.piv.names import Algorithm
from cloudcard_tools.reader import command, local_card
from cloudcard_tools.reader.local_card import Wanted
from cloudcard_tools.shared.failures import Failure
from reader_bridge.local.card import LocalCard

P256 = "p256"
ID = bytes(16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "card.json"


def failure(wanted: Wanted) -> str:
    with pytest.raises(Failure) as caught, local_card.opened(wanted):
        pass
    return str(caught.value)


@pytest.mark.parametrize("name", local_card.ALGORITHMS)
def test_each_algorithm(name: str) -> None:
    with local_card.opened(Wanted(algorithm=name)) as keys:
        assert keys.image.keys[0x9A].algorithm == local_card.ALGORITHMS[name]


def test_a_throw_away_card_is_plain_rsa() -> None:
    with local_card.opened(Wanted()) as keys:
        assert {key.algorithm for key in keys.image.keys.values()} == {Algorithm.RSA_2048}
        assert keys.card.profile.name == "plain"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Wanted(), ["Making 4 keys of RSA-2048 for a local card."]),
        (Wanted(algorithm="rsa3072", retired=2), ["Making 6 keys of RSA-3072 for a local card."]),
        (Wanted(algorithm=P256), []),
        (Wanted("developer"), []),
    ],
)
def test_what_takes_long_is_told_before(
    wanted: Wanted, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def new_card(*_: object) -> LocalCard:
        assert said == told
        raise Failure("made")

    monkeypatch.setattr(local_card, "new_card", new_card)
    with pytest.raises(Failure, match="made"), local_card.opened(wanted, said.append):
        pass


def test_a_card_in_a_file_stays_the_same(path: Path) -> None:
    with local_card.opened(Wanted("global-pin", P256, 2, path)) as keys:
        image = keys.image
        assert set(image.keys) >= {0x82, 0x83}
        wrong = VerifyPasscode(ID, 0x80, b"000000")
        assert keys.perform(wrong) == TriesLeft(2, factory=True)
    for again in (Wanted(state=path), Wanted("global-pin", state=path)):
        with local_card.opened(again) as keys:
            assert keys.image == image
    with local_card.opened(Wanted(state=path)) as keys:
        assert keys.perform(wrong) == TriesLeft(1, factory=True)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"profile": "developer"}, "profile plain"),
        ({"algorithm": "p384"}, "holds a card already"),
        ({"retired": 0}, "holds a card already"),
    ],
)
def test_a_card_in_a_file_is_not_made_into_another(
    path: Path, wanted: dict[str, str], words: str
) -> None:
    with local_card.opened(Wanted(algorithm=P256, state=path)):
        pass
    before = path.read_bytes()
    assert words in failure(Wanted(state=path, **wanted))  # type: ignore[arg-type]
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff" * 100])
def test_a_damaged_file_is_left_alone(path: Path, damage: bytes) -> None:
    path.write_bytes(damage)
    path.chmod(0o600)
    text = failure(Wanted(state=path))
    assert "is damaged" in text
    assert "restore it from a copy" in text
    assert path.read_bytes() == damage


def test_a_file_of_a_newer_version(path: Path) -> None:
    with local_card.opened(Wanted(algorithm=P256, state=path)):
        pass
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, "version": 2}))
    assert "newer cloudcard" in failure(Wanted(state=path))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_a_file_that_others_can_read(path: Path) -> None:
    with local_card.opened(Wanted(algorithm=P256, state=path)):
        pass
    path.chmod(0o644)
    assert f"chmod 600 {path}" in failure(Wanted(state=path))


def test_a_file_in_use(path: Path) -> None:
    with local_card.opened(Wanted(algorithm=P256, state=path)):
        assert "another process" in failure(Wanted(state=path))


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    assert "is not a folder" in failure(Wanted(state=tmp_path / "a" / "b"))


def test_what_is_told_of_a_card() -> None:
    with local_card.opened(Wanted("developer")) as keys:
        text = local_card.description(keys)
        assert "PIN 123456, PUK 12345678." in text
        assert "010203040506070801020304050607080102030405060708" in text
    with local_card.opened(Wanted("global-pin", P256)) as keys:
        assert "global PIN 654321" in local_card.description(keys)


def test_secrets_of_ones_own_are_not_told(path: Path) -> None:
    with local_card.opened(Wanted(algorithm=P256, state=path)) as keys:
        keys.perform(ChangePasscode(ID, 0x80, b"123456", b"271828"))
        keys.perform(ChangePasscode(ID, 0x81, b"12345678", b"31415926"))
        text = local_card.description(keys)
    assert "changed" in text
    assert "271828" not in text
    assert "123456" not in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["--profile", "developer"],
        ["--state", "card.json"],
        ["--algorithm", "p256"],
        ["--retired", "1"],
    ],
)
def test_options_of_a_local_card_alone(arguments: list[str]) -> None:
    done = CliRunner().invoke(command.reader, ["--card", "1", *arguments])
    assert done.exit_code == 2
    assert "go with --local" in done.output
