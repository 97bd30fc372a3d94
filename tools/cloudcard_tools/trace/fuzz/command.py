"""`cloudcard trace fuzz`: replays a corpus of traces, changed at random, with the card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic

import click

from card_os.trace.lines import HEADER, write
from card_os.trace.words import TraceError
from cloudcard_tools import new_files
from cloudcard_tools.new_files import NEW_FOLDER
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.trace.fuzz.fuzzing import Attempt, Covered, Known, attempt, changed, load
from cloudcard_tools.trace.replay import cards

Path_ = click.Path(exists=True, path_type=Path)


@click.command(
    "fuzz",
    epilog="""\b
Examples:
  cloudcard trace fuzz tests/traces --seconds 60 --out found
  cloudcard trace fuzz tests/traces --seed 7 --runs 1000 --out found --json
""",
)
@click.argument("corpus", type=Path_)
@click.option("--cards", "folder", type=Path_, help="Folder of card images.")
@click.option("--seconds", type=click.FloatRange(0.1), default=60, show_default=True)
@click.option("--runs", type=click.IntRange(1), help="Most attempts; by default until time is up.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="The same seed makes the same attempts."
)
@click.option(
    "--out", required=True, type=NEW_FOLDER, help="Folder for what is found: missing or empty."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def fuzz_command(
    context: click.Context,
    corpus: Path,
    folder: Path | None,
    seconds: float,
    runs: int | None,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """Change the traces of CORPUS at random, replay them, and keep what is new or breaks.

    Exit status: 0 nothing broke, 1 something broke or the corpus cannot be read, 2 wrong usage.
    """
    end = monotonic() + seconds
    known = list(_corpus(corpus, folder))
    if not known:
        raise Failure(f"{corpus} holds no traces")
    covered: set[Covered] = set()
    for each in known:
        covered |= attempt(each, each.told).covered
    before = len(covered)
    broken: Counter[str] = Counter()
    done = 0
    for done in count(1):
        random = Random(f"{seed}/{done}")  # noqa: S311 (repeatable, not secret)
        which, told = changed(random, known)
        made = attempt(which, told)
        new = made.covered - covered
        covered |= new
        names = [f"broken-{each.replace(' ', '-')}" for each in made.findings if not broken[each]]
        broken.update(made.findings)
        if new and not made.findings:
            names.append("new")
        for name in names:
            _keep(which, made, out, f"{name}-{done:07}.trace")
        if done == runs or monotonic() >= end:
            break
    result = {"attempts": done, "new": len(covered) - before, "broken": dict(broken)}
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        said = ", ".join(f"{what} ({times} times)" for what, times in broken.items())
        click.echo(f"{done} attempts, {result['new']} new answers; broken: {said or 'nothing'}.")
    context.exit(1 if broken else 0)


def _corpus(corpus: Path, folder: Path | None) -> Iterator[Known]:
    for path in sorted(corpus.rglob("*.trace")) if corpus.is_dir() else [corpus]:
        try:
            yield load(path, folder)
        except TraceError as error:
            raise Failure(f"{path}: {error}") from None


def _keep(known: Known, made: Attempt, out: Path, name: str) -> None:
    cards.save(known.image, out)
    text = "".join(f"{write(line)}\n" for line in made.lines)
    with new_files.opened(out / name) as file:
        file.write(f"{HEADER}\n{text}")
