"""The package's rule for polkit, in the engine that polkit has (Duktape)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support.ifd_handler import SOURCES

RULE = SOURCES.parent / "debian" / "50-cloudcard.rules"
CARD, PCSC = "org.debian.pcsc-lite.access_card", "org.debian.pcsc-lite.access_pcsc"
FIRST, SECOND = "Cloudcard 0 00 00", "Cloudcard 1 01 00"
OWNERS, NUMBERS = {"0": "1000"}, {"ada": "1000", "bo": "1001", "ad": "100"}
# What polkit gives a rule: the first answer of a rule counts, and a program that fails throws.
POLKIT = """
var rules = [];
var polkit = {
    Result: {YES: "yes", NO: "no"},
    addRule: function (rule) { rules.push(rule); },
    spawn: function (words) {
        var file = /^\\/run\\/cloudcard\\/owner\\.(\\d+)$/.exec(words[1]);
        var said = words[0] === "/usr/bin/cat" && file ? OWNERS[file[1]] : undefined;
        if (words[0] === "/usr/bin/id" && words[1] === "-u") { said = NUMBERS[words[2]]; }
        if (said === undefined) { throw new Error(words.join(" ")); }
        return said + "\\n";
    }
};
"""
ASK = """
var answer;
for (var i = 0; i < rules.length && !answer; i++) {
    answer = rules[i](
        {id: ACTION, lookup: function (name) { return name === "reader" ? READER : undefined; }},
        {user: USER, isInGroup: function (name) { return GROUPS.indexOf(name) >= 0; }}
    );
}
print(answer || "as without the rule");
"""
AS_EVER = "as without the rule"


def answer(
    folder: Path, user: str, action: str = CARD, reader: str | None = None, *groups: str
) -> str:
    """What the rule says to an action of a user."""
    given = {"OWNERS": OWNERS, "NUMBERS": NUMBERS, "ACTION": action, "USER": user}
    given |= {"READER": reader, "GROUPS": groups}
    head = "".join(f"var {name} = {json.dumps(value)};\n" for name, value in given.items())
    script = folder / "asked.js"
    script.write_text(head + POLKIT + RULE.read_text() + ASK)
    return subprocess.check_output(["duk", script], text=True).strip()


@pytest.mark.parametrize(
    ("user", "reader", "expected"),
    [
        ("ada", FIRST, "yes"),
        ("bo", FIRST, "no"),
        ("ad", FIRST, "no"),  # whose number begins like hers
        ("unknown", FIRST, "no"),
        ("ada", SECOND, "no"),  # empty: else she would be let through to the next card
        ("bo", "Virtual PCD 00 00", AS_EVER),
        ("bo", "Other Cloudcard 0 00 00", AS_EVER),
    ],
)
def test_a_card_is_its_users_alone(user: str, reader: str, expected: str, tmp_path: Path) -> None:
    assert answer(tmp_path, user, CARD, reader) == expected


def test_members_of_the_group_get_no_card_of_another_user(tmp_path: Path) -> None:
    assert answer(tmp_path, "bo", CARD, FIRST, "cloudcard") == "no"


def test_members_of_the_group_use_pcscd_from_anywhere(tmp_path: Path) -> None:
    assert answer(tmp_path, "bo", PCSC, None, "cloudcard") == "yes"
    assert answer(tmp_path, "bo", PCSC, None, "users") == AS_EVER


def test_nothing_else_is_decided(tmp_path: Path) -> None:
    other = "org.freedesktop.login1.reboot"
    assert answer(tmp_path, "ada", other, None, "cloudcard") == AS_EVER
