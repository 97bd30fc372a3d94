"""Every command has an example in its help, and every example can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.shell.examples import examples, share
from support.commands import leaves, walk

LEAVES = dict(leaves(cloudcard))
EXAMPLES = sorted(
    {each for _, command in walk(cloudcard) for each in examples(command.epilog or "")}
    | set(examples(cloudcard.epilog or ""))
)
# Where an example goes on in the next line.
MORE = re.compile(r"\\\n\s*")
# What follows an example in its line: words about it, another program, a file for what is read or
# printed.
REST = re.compile(r" {3,}.*| [|<>] .*")


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of examples need not exist here, and nobody is asked."""
    monkeypatch.setattr(click.Path, "convert", lambda _self, value, _param, _ctx: Path(value))
    monkeypatch.setattr(click.core, "confirm", lambda *_, **__: True)


def parse(example: str) -> None:
    """Parse a command line as the program does, without running it."""
    words = shlex.split(REST.sub("", MORE.sub("", example)))
    name, command = words.pop(0), click.Command("none")
    command = cloudcard
    assert name == "cloudcard"
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(click.Context(command, info_name="cloudcard"), name)
        assert found is not None, f"{example}: there is no {name}"
        command = found
    assert not isinstance(command, click.Group) or command.invoke_without_command
    if "--help" not in words:
        command.make_context(name, words)


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_an_example(name: str) -> None:
    own = [
        each
        for each in examples(LEAVES[name].epilog or "")
        if f"{each} ".startswith(f"cloudcard {name} ")
    ]
    assert own


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.usefixtures("unasked")
def test_every_example_parses(example: str) -> None:
    parse(example)


@pytest.mark.usefixtures("unasked")
def test_a_wrong_example_is_found() -> None:
    with pytest.raises(click.UsageError):
        parse("cloudcard ra card issue")
    with pytest.raises(click.UsageError):
        parse("cloudcard ra card list --loud")
    with pytest.raises(AssertionError):
        parse("cloudcard ra card melt 1500000000000017")
    with pytest.raises(AssertionError):
        parse("cloudcard ra card")


def test_an_example_is_written_once() -> None:
    leaf = click.Command("add", epilog="Take care.")
    other = click.Command("addition")
    group = click.Group(
        "g", commands=[leaf, other], epilog="\b\nExamples:\n  cloudcard g add X \\\n      Y"
    )
    share(group, "cloudcard g")
    assert leaf.epilog == "Take care.\n\n\b\nExample:\n  cloudcard g add X \\\n    Y"
    assert other.epilog is None
