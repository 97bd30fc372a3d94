"""The agent's configuration: one TOML file of the user's under one of the computer's."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

from cloudcard_tools.reader import via
from cloudcard_tools.shared import home
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.reaching import PROXY
from reader_bridge.desktop.events import Event
from reader_bridge.prompts import choosing
from reader_bridge.prompts.later import LONGEST_SECONDS

POLICY = Path("/etc/cloudcard/reader.toml")
FILE = "reader.toml"
MAY_CHANGE = "may_change"
LONGEST_IDLE = 24 * 60  # minutes
LAST_SLOT, LAST_PORT = 15, 0xFFFF
APPROVALS = ("push", "qr", "both")
SECRET = frozenset({"proxy"})  # what can hold a password
CHOICES = (Event.LOCKED, Event.AWAY, Event.SLEEPS)


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be configured."""

    identity: str = ""
    user: str = ""
    ask: bool = True
    leave_on: tuple[str, ...] = tuple(each.value for each in CHOICES)
    idle_minutes: int = 0
    approval: str = "push"
    qr_after: int = 0
    program: str = ""
    prompt: str = ""
    sessions: bool = True
    via: str = ""
    slot: int = -1
    slots: int = 1
    port: int = 0
    proxy: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file: what it accepts, and what it is for."""

    allowed: str
    accepts: Callable[[object], bool]
    meaning: str


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _within(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _checked_by(check: Callable[[str], object]) -> Callable[[object], bool]:
    """Accepts no text at all, or one about which `check` does not raise ValueError."""

    def accepts(value: object) -> bool:
        try:
            if value != "":
                check(str(value))
        except ValueError:
            return False
        return _is_text(value)

    return accepts


def _are_choices(value: object) -> bool:
    return isinstance(value, list) and all(each in set(CHOICES) for each in value)


KEYS: Mapping[str, Key] = {
    "identity": Key(
        "a folder", _is_text, "the workstation's identity; by default that of this user"
    ),
    "user": Key(
        "an account name or e-mail address",
        _is_text,
        "whose phone rings to sign in; by default a code is shown",
    ),
    "ask": Key("true or false", _is_flag, "ask to sign in at the start and when somebody is back"),
    "leave_on": Key(
        'a list of "lock", "away", "sleep"',
        _are_choices,
        "what takes the card out, besides logging off",
    ),
    "idle_minutes": Key(
        f"0 to {LONGEST_IDLE}",
        _within(0, LONGEST_IDLE),
        "take the card out so long after the desktop has said that nobody is there; 0: never",
    ),
    "approval": Key(
        '"push", "qr" or "both"',
        lambda value: value in APPROVALS,
        "how requests for the card's keys reach the phone",
    ),
    "qr_after": Key(
        f"0 to {LONGEST_SECONDS}",
        _within(0, LONGEST_SECONDS),
        'with approval = "both": seconds for which the push to the phone is waited for before a QR '
        "code is offered; 0: both are shown at once",
    ),
    "program": Key("a text", _is_text, "what the phone shows as the asking program"),
    "prompt": Key(
        choosing.FORMS,
        _checked_by(choosing.check),
        "what shows numbers and codes; by default what works here",
    ),
    "sessions": Key("true or false", _is_flag, "ask for a session when the PIN is given"),
    "via": Key(
        via.FORMS, _checked_by(via.check), "the way to a reader; by default through our driver"
    ),
    "slot": Key(f"0 to {LAST_SLOT}", _within(0, LAST_SLOT), "the slot of our driver"),
    "slots": Key(
        f"1 to {LAST_SLOT + 1}",
        _within(1, LAST_SLOT + 1),
        "for how many people's cards at once; one more sign-in takes the oldest card out",
    ),
    "port": Key(f"1 to {LAST_PORT}", _within(1, LAST_PORT), "vpcd's port"),
    "proxy": Key(
        "http://HOST:PORT",
        lambda value: _is_text(value) and str(value).startswith("http://"),
        "a proxy that takes CONNECT; by default that of the environment",
    ),
}


def own_file() -> Path:
    """The user's own file. Raises Failure if this user has no home folder."""
    return home.of_user(platformdirs.user_config_path) / FILE


def load(own: Path, policy: Path = POLICY) -> tuple[Settings, list[str]]:
    """The settings, and a line for each value of the user's that the policy overrules. Raises
    Failure for a file that cannot be used.
    """
    above, below = _read(policy, of_policy=True), _read(own, of_policy=False)
    allowed = above.pop(MAY_CHANGE, None)
    may_change = set(KEYS) - set(above) if allowed is None else set(_names(policy, allowed))
    overruled = [
        f"{name} in {own} has no effect: this computer's policy, {policy}, decides it"
        for name in below
        if name not in may_change
    ]
    values = {**above, **{name: below[name] for name in below if name in may_change}}
    chosen = Settings()
    for name, value in values.items():
        # Each was checked by its row of KEYS.
        chosen = replace(chosen, **{name: tuple(value) if isinstance(value, list) else value})  # type: ignore[arg-type]
    return chosen, overruled


def _read(path: Path, *, of_policy: bool) -> dict[str, object]:
    try:
        text = path.read_bytes().decode()
        found = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(f"{path} is no TOML: {error}") from None
    for name, value in found.items():
        place = f"{path}, line {_line(text, name)}"
        if of_policy and name == MAY_CHANGE:
            continue
        if name not in KEYS:
            known = ", ".join(KEYS if not of_policy else (*KEYS, MAY_CHANGE))
            raise Failure(f"{place}: there is no key {name!r}; there are {known}")
        if not KEYS[name].accepts(value):
            said = "has" if name in SECRET else f"is {value!r}, and has"
            raise Failure(f"{place}: {name} {said} to be {KEYS[name].allowed}")
    return found


def _names(path: Path, value: object) -> list[str]:
    if not isinstance(value, list) or any(each not in KEYS for each in value):
        raise Failure(f"{path}: {MAY_CHANGE} is {value!r}, and has to be a list of keys")
    return value


def _line(text: str, name: str) -> int:
    """The line on which a key stands; 1 if it cannot be found."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.split("=")[0].split("#")[0].strip().strip("\"'[]") == name:
            return number
    return 1


def take_configured_proxy(policy: Path = POLICY) -> None:
    """Have this process's connections take the proxy of the files, if they name one. Raises Failure
    for a file that cannot be used.
    """
    apply_proxy(load(own_file(), policy)[0])


def apply_proxy(settings: Settings) -> None:
    """Have this process's connections take the configured proxy."""
    if settings.proxy:
        os.environ[PROXY] = settings.proxy
