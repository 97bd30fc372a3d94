"""Cards for traces: the same seed makes the same bytes, in every process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from card_os import tlv
from card_os.piv.names import ObjectTag
from cloudcard_tools.fixture.command import RECIPES, fixture, make
from cloudcard_tools.trace.command import trace
from reader_bridge.local.private_keys import check, load


def run(*arguments: object) -> Result:
    return CliRunner().invoke(fixture, ["card", *(str(each) for each in arguments)])


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("profile", ["v2", "developer", "sm-cs7"])
def test_two_processes_make_the_same_bytes(profile: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        subprocess.run(
            [
                *(sys.executable, "-m", "cloudcard_tools", "fixture", "card"),
                *("--profile", profile, "--seed", "c0ffee", "-o", str(tmp_path / name)),
            ],
            check=True,
            capture_output=True,
        )
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) == 2


def test_another_seed_makes_other_keys(tmp_path: Path) -> None:
    for seed in ("01", "02"):
        assert run("--profile", "plain", "--seed", seed, "-o", tmp_path / seed).exit_code == 0
    names = [{path.name for path in (tmp_path / seed / "cards").iterdir()} for seed in ("01", "02")]
    assert names[0].isdisjoint(names[1])


@pytest.mark.parametrize("algorithm", ["rsa2048", "p256", "p384", "25519"])
def test_derived_keys_are_sound_and_certified(algorithm: str) -> None:
    made = make(RECIPES["v2"], algorithm, 0, b"seed")
    for key in made.keys.values():
        check(key.algorithm, key.private)
    der = dict(tlv.decode(made.objects[ObjectTag.AUTHENTICATION_CERTIFICATE]))[0x70]
    certificate = x509.load_der_x509_certificate(der)
    certificate.verify_directly_issued_by(certificate)
    authentication = made.keys[0x9A]
    assert (
        certificate.public_key()
        == load(authentication.algorithm, authentication.private).public_key()
    )


@pytest.mark.parametrize(
    ("options", "answer", "word"),
    [
        (["--locked"], "! tries 0 3 no", "< 6983"),
        (["--tries", "1"], "! tries 1 3 no", "< 63c1"),
        (["--tries", "5"], "! tries 5 5 no", "< 63c5"),
        ([], "! tries 3 3 no", "< 63c3"),
    ],
)
def test_the_trace_says_how_many_tries_are_left_and_replays(
    options: list[str], answer: str, word: str, tmp_path: Path
) -> None:
    assert run("--profile", "plain", *options, "-o", tmp_path).exit_code == 0
    (path,) = tmp_path.glob("*.trace")
    assert [answer, word] == path.read_text().splitlines()[-2:]
    replayed = CliRunner().invoke(trace, ["replay", str(path)])
    assert replayed.exit_code == 0, replayed.output


def test_v1_has_no_key_for_signatures() -> None:
    made = make(RECIPES["v1"], "p256", 0, b"seed")
    assert set(made.keys) == {0x9A, 0x9D, 0x9E}
    assert ObjectTag.SIGNATURE_CERTIFICATE not in made.objects


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seed", "xyz"], "hexadecimal"),
        (["--seed", "00" * 65], "1 to 64 bytes"),
        (["--locked", "--tries", "2"], "--locked has no --tries"),
    ],
)
def test_wrong_usage_is_told(options: list[str], said: str, tmp_path: Path) -> None:
    result = run(*options, "-o", tmp_path)
    assert (result.exit_code, said in result.output) == (2, True), result.output
