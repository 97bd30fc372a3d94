"""The agent's configuration, the computer's policy over it, and what the guide says of both."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudcard_tools.reader.service.settings import KEYS, Settings, apply_proxy, load
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.reaching import proxy
from support.guides import DOCS


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "own.toml", tmp_path / "policy.toml"


def test_without_files_all_is_as_documented(files: tuple[Path, Path]) -> None:
    assert load(*files) == (Settings(), [])


def test_the_policys_values_win_and_it_is_told(files: tuple[Path, Path]) -> None:
    own, policy = files
    policy.write_text('idle_minutes = 5\nvia = "handler"\n')
    own.write_text('idle_minutes = 0\nuser = "ada@example.org"\nleave_on = ["lock"]\n')
    settings, overruled = load(own, policy)
    assert (settings.idle_minutes, settings.via, settings.user) == (5, "handler", "ada@example.org")
    assert settings.leave_on == ("lock",)
    (line,) = overruled
    assert line.startswith(f"idle_minutes in {own}")
    assert str(policy) in line


def test_a_policy_can_say_what_the_user_may_change(files: tuple[Path, Path]) -> None:
    own, policy = files
    policy.write_text('may_change = ["user", "approval"]\napproval = "qr"\n')
    own.write_text('user = "ada"\napproval = "push"\nask = false\n')
    settings, overruled = load(own, policy)
    assert (settings.user, settings.approval, settings.ask) == ("ada", "push", True)
    assert [each.split()[0] for each in overruled] == ["ask"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour = 1", "line 1: there is no key 'colour'; there are identity, user"),
        ('# first\nvia = "usb"', "line 2: via is 'usb', and has to be handler"),
        ("ask = 1", "line 1: ask is 1, and has to be true or false"),
        ("idle_minutes = true", "line 1: idle_minutes is True, and has to be 0 to 1440"),
        ("qr_after = 46", "line 1: qr_after is 46, and has to be 0 to 45"),
        ("qr_after = -1", "line 1: qr_after is -1, and has to be 0 to 45"),
        ('qr_after = "5"', "line 1: qr_after is '5', and has to be 0 to 45"),
        ("slot = 16", "line 1: slot is 16, and has to be 0 to 15"),
        ('leave_on = ["log-off"]', "has to be a list of"),
        ('approval = ["push"]', "line 1: approval is ['push']"),
        ('proxy = "socks5://a:1"', "has to be http://HOST:PORT"),
        ("may_change = []", "there is no key 'may_change'"),
        ("via = ", "is no TOML"),
        ("[table]\n", "line 1: there is no key 'table'"),
    ],
)
def test_a_mistake_is_named_with_its_place(files: tuple[Path, Path], text: str, said: str) -> None:
    files[0].write_text(text)
    with pytest.raises(Failure) as raised:
        load(*files)
    assert str(files[0]) in raised.value.message
    assert said in raised.value.message


def test_a_proxys_password_is_not_told(files: tuple[Path, Path]) -> None:
    files[0].write_text('proxy = "https://ada:geheim@proxy:1"')
    with pytest.raises(Failure) as raised:
        load(*files)
    assert "geheim" not in raised.value.message


def test_the_proxy_is_that_of_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDCARD_PROXY", "http://other:1")
    apply_proxy(Settings())
    assert proxy("keystore.example.org") == "http://other:1"
    apply_proxy(Settings(proxy="http://proxy:3128"))
    assert proxy("keystore.example.org") == "http://proxy:3128"


def test_a_policys_mistakes_are_named_too(files: tuple[Path, Path]) -> None:
    files[1].write_text('may_change = ["colour"]')
    with pytest.raises(Failure, match="may_change"):
        load(*files)


def test_the_guide_has_each_key_with_what_it_accepts() -> None:
    text = (DOCS / "reader.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    told = {name: (allowed, meaning) for name, allowed, meaning in rows if name in KEYS}
    assert told == {name: (key.allowed, key.meaning) for name, key in KEYS.items()}
