"""`cloudcard manual`: manual pages, made from what `--help` says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import click

from cloudcard_tools import new_files
from cloudcard_tools.new_files import INTO
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import json_option, print_facts
from cloudcard_tools.shell.examples import VERBATIM

BEGINNING = b".TH "
SECTION = 1  # of the manual: commands of users


@click.command(
    epilog="""\b
Examples:
  cloudcard manual ~/.local/share/man/man1
  cloudcard manual build/man --json

\b
Afterwards: man cloudcard, man cloudcard-ra, and so on.
"""
)
@click.argument("folder", type=INTO)
@json_option
@click.pass_context
def manual(context: click.Context, folder: Path, as_json: bool) -> None:
    """Write the manual pages of cloudcard and of each of its commands into FOLDER.

    Pages of another version are replaced, and no other files.
    """
    root = context.find_root()
    name = root.info_name or "cloudcard"
    group = root.command
    if not isinstance(group, click.Group):
        raise Failure("the manual is of the whole program: cloudcard manual FOLDER")
    written: list[str] = []
    left_out: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    commands = []
    for each in group.list_commands(root):
        try:
            command = group.get_command(root, each)
        except Failure:  # this installation has not what the command needs
            left_out.append(each)
            continue
        if command is not None:
            commands.append((f"{name} {each}", command))
    for title, command in ((name, group), *commands):
        path = folder / f"{title.replace(' ', '-')}.{SECTION}"
        below = [] if command is group else list(_below(command, title))
        with new_files.report(path, BEGINNING) as file:
            file.write(page(title, command, below))
        written.append(str(path))
    facts = {"written": written, "left_out": left_out}
    labels = {"written": "Written"} | ({"left_out": "Not installed"} if left_out else {})
    print_facts(facts, labels, as_json=as_json)


def page(title: str, command: click.Command, below: Sequence[tuple[str, click.Command]]) -> str:
    """A manual page (man(7)) of a command and of the commands below it."""
    name = title.replace(" ", "-")
    release = version("cloudcard")
    lines = [
        f'{BEGINNING.decode()}"{name.upper()}" "{SECTION}" "" "cloudcard {release}" "cloudcard"',
        # A long list of choices cannot be spread to a full line.
        ".ad l",
        ".SH NAME",
        f"{_roff(name)} \\- {_roff(command.get_short_help_str(200).rstrip('.'))}",
        *_of_command(title, command, ".SH"),
    ]
    for path, each in below:
        lines += [f'.SH "{_roff(path)}"', *_of_command(path, each, ".SS")]
    if name != "cloudcard":
        lines += [".SH SEE ALSO", f".BR cloudcard ({SECTION})"]
    return "\n".join(lines) + "\n"


def _of_command(path: str, command: click.Command, heading: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"{heading} {'SYNOPSIS' if heading == '.SH' else 'Synopsis'}"
    yield f"\\fB{_roff(path)}\\fR {_roff(usage)}"
    yield f"{heading} {'DESCRIPTION' if heading == '.SH' else 'Description'}"
    yield from _paragraphs(command.help or "")
    options = [each.get_help_record(context) for each in command.get_params(context)]
    yield from _definitions("OPTIONS", [each for each in options if each], heading)
    if isinstance(command, click.Group) and heading == ".SH":
        commands = [
            (name, said)
            for name in command.list_commands(context)
            for said in [_short_help(command, context, name)]
        ]
        yield from _definitions("COMMANDS", commands, heading)
    if command.epilog:
        yield f"{heading} {'NOTES' if heading == '.SH' else 'Notes'}"
        yield from _paragraphs(command.epilog)


def _below(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None:
            yield f"{path} {name}", child
            yield from _below(child, f"{path} {name}")


def _short_help(group: click.Group, context: click.Context, name: str) -> str:
    rows = getattr(group, "rows", {})
    if name in rows:
        return str(rows[name].help)
    command = group.get_command(context, name)
    return command.get_short_help_str(200) if command else ""


def _definitions(title: str, records: Sequence[tuple[str, str]], heading: str) -> Iterator[str]:
    if not records:
        return
    yield f"{heading} {title if heading == '.SH' else title.capitalize()}"
    for term, said in records:
        yield ".TP"
        yield f"\\fB{_roff(term)}\\fR"
        yield _roff(" ".join(said.split())) or "\\&"


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of a help; those after a \\b are printed as they are."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = paragraph.split("\n")
        if lines[0].strip() == VERBATIM:
            yield from (".PP", ".nf", *(_roff(line) or "\\&" for line in lines[1:]), ".fi")
        else:
            yield from (".PP", _roff(" ".join(paragraph.split())))


def _roff(text: str) -> str:
    """A text whose characters mean nothing to roff."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq")
    return f"\\&{safe}" if safe.startswith(".") else safe
