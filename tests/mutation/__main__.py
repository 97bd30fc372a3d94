"""`make mutants`: changes the program in small ways and lists the changes that no test notices."""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from mutation.importing import attempt, check
from mutation.killing import Fate, Killing, Trial
from mutation.local import OPTIONS, Local
from mutation.operators import mutants
from mutation.reaching import ROOT, Reach, Watching
from mutation.sabotage import sabotages

TARGETS = (
    "card_os/piv",
    "cloud_keystore/approval",
    "cloud_keystore/custody",
    "cloud_keystore/operations",
    "cloud_keystore/rpc/door.py",
    "cloud_keystore/rpc/limits.py",
    "private_keys",
)
# It runs in processes of its own, where no change is put in place; tests with a token check it.
AWAY = ("cloud_keystore/custody/backends/pkcs11_worker.py",)
TESTS = ("tests/card_os", "tests/cloud_keystore", "tests/private_keys")
# This test makes the keystore that the others copy.
WARM = "tests/cloud_keystore/custody/use/test_activation.py"
WARM += "::test_a_row_that_is_called_approved_has_no_approval"
GOAL = 92.0  # percent
KNOWN = ROOT / "tests/mutation/known.toml"
CACHE = ROOT / ".cache/mutation"


@dataclass(frozen=True, slots=True)
class Known:
    """A change that no test notices, and why that is so."""

    file: str
    function: str
    before: str
    after: str
    reason: str
    equivalent: bool  # the program behaves the same, so the mutant does not count

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.file, self.function, self.before, self.after


def known() -> dict[tuple[str, str, str, str], Known]:
    """The survivors that were examined, by file, function, text before and text after."""
    listed = tomllib.loads(KNOWN.read_text())["survivor"]
    each = [Known(**{"function": "", "equivalent": False} | entry) for entry in listed]
    return {one.key: one for one in each}


@dataclass
class Scores:
    """Counts the outcomes of the trials by file."""

    listed: dict[tuple[str, str, str, str], Known]
    total: int
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    noted: list[str] = field(default_factory=list)
    done: int = 0

    def note(self, trial: Trial, fate: Fate) -> None:
        """Count one trial, and print it if the mutant survived and is not listed."""
        self.done += 1
        known = self.listed.get((trial.file, trial.function, trial.before, trial.after))
        alive = fate in (Fate.SURVIVED, Fate.UNREACHED)
        if alive and known is not None:
            self.counts[trial.file]["equivalent" if known.equivalent else "explained"] += 1
        else:
            self.counts[trial.file][fate.value] += 1
        if alive and known is None:
            self.noted.append(_entry(trial, fate))
            print(f"[{self.done}/{self.total}] {self.noted[-1]}", flush=True)
        elif self.done % 100 == 0:
            print(f"[{self.done}/{self.total}]", flush=True)

    def table(self) -> tuple[str, float]:
        """The text of a table with a line for each file, and the percentage that was noticed."""
        lines, sums = [], Counter[str]()
        for file in sorted(self.counts):
            sums += self.counts[file]
            lines.append(_line(file, self.counts[file]))
        lines.append(_line("all", sums))
        return "\n".join(lines), _percent(sums)


def _entry(trial: Trial, fate: Fate) -> str:
    where = f"{trial.file}:{trial.line} {trial.function or 'when imported'}"
    return f"{fate.value}: {where}\n    {trial.before}\n    {trial.after}"


def _percent(counts: Counter[str]) -> float:
    count = counts.total() - counts["equivalent"]
    return 100 * (counts["killed"] + counts["endless"]) / count if count else 100.0


def _line(name: str, counts: Counter[str]) -> str:
    said = ", ".join(f"{count} {fate}" for fate, count in sorted(counts.items()))
    return f"{_percent(counts):5.1f} %  {name}: {said}"


def files(only: Sequence[str]) -> list[str]:
    """The modules of the targets whose path begins with one of `only`; all if there is none."""
    found = []
    for target in TARGETS:
        path = ROOT / target
        modules = [path] if path.is_file() else sorted(path.rglob("*.py"))
        found += [str(each.relative_to(ROOT)) for each in modules]
    chosen = [each for each in found if not only or each.startswith(tuple(only))]
    return [each for each in chosen if each not in AWAY]


def trials(chosen: Sequence[str], reach: Reach, every: int, seed: int, most: float) -> list[Trial]:
    """A trial for each mutant, or for one in `every`, chosen at random from the seed."""
    return [
        trial
        for file in chosen
        for trial in _of_file(file, reach, most)
        if every == 1 or random.Random(f"{seed} {file} {trial.number}").randrange(every) == 0
    ]


def _of_file(file: str, reach: Reach, most: float) -> Iterator[Trial]:
    tree = ast.parse((ROOT / file).read_text())
    for number, mutant in enumerate(mutants(tree)):
        tests = reach.of(file, mutant.lines) if mutant.function else reach.of_file(file)
        tests, seconds = _within(tests, reach, most)
        code = partial(mutant.compiled, tree, str(ROOT / file))
        yield Trial(
            file,
            mutant.function,
            mutant.before,
            mutant.after,
            mutant.lines.start,
            code,
            tests,
            seconds,
            number,
        )


def _within(tests: Sequence[str], reach: Reach, most: float) -> tuple[list[str], float]:
    """The first tests that together take at most `most` seconds, and the seconds they take."""
    chosen, seconds = [], 0.0
    for test in tests:
        if chosen and seconds + reach.seconds[test] > most:
            break
        chosen.append(test)
        seconds += reach.seconds[test]
    return chosen, seconds


def _fingerprint(tests: Sequence[str]) -> str:
    """A digest of everything that decides which test reaches which line."""
    digest = hashlib.sha256(repr(list(tests)).encode())
    for folder in (*TESTS, "tests/support", "card_os", "cloud_keystore", "private_keys"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _reach(folder: Path, tests: Sequence[str], *, keep: bool) -> Reach:
    """What these tests reach: from the last run if nothing has changed since, or from a new one."""
    kept, mark = CACHE / "reach.json", CACHE / "reach.sha256"
    if kept.exists() and (keep or mark.read_text() == _fingerprint(tests)):
        return Reach.load(kept)
    # Coverage would slow down what follows in the same process.
    process = os.fork()
    if process == 0:
        watching = Watching(files(()), kept)
        pytest.main([*OPTIONS, f"--basetemp={folder}/reach", *tests], plugins=[watching, Local()])
        os._exit(0)
    os.waitpid(process, 0)
    reach = Reach.load(kept)
    if not reach.seconds:
        raise SystemExit("no test ran: see above")
    mark.write_text(_fingerprint(tests))
    return reach


def main() -> int:
    """Run the command line; 0 if enough mutants were noticed."""
    parser = argparse.ArgumentParser(prog="mutation", description=__doc__)
    parser.add_argument("only", nargs="*", help="only modules whose path begins with this")
    parser.add_argument(
        "--every", type=int, default=1, help="try one mutant in this many, chosen at random"
    )
    parser.add_argument("--seed", type=int, default=1, help="another number: other mutants")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="run tests of at most this time for one mutant"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="use the last record of which test reaches which line, although files have changed",
    )
    parser.add_argument("--tests", nargs="*", help="only these tests")
    parser.add_argument(
        "--moment",
        choices=["all", "use", "import", "sabotage"],
        default="all",
        help="mutants inside functions, mutants of what imports run, both, or the guards",
    )
    given = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="mutation-", dir=memory if memory.is_dir() else None))
    try:
        if given.moment == "sabotage":
            return _sabotage(folder, given.workers)
        return _mutate(folder, given)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sabotage(folder: Path, workers: int) -> int:
    unnoticed: list[str] = []

    def done(trial: Trial, fate: Fate) -> None:
        print(f"{fate.value}: {trial.file}: {' '.join(trial.before.split())}", flush=True)
        if fate is not (Fate.SURVIVED if trial.file == "nothing" else Fate.KILLED):
            unnoticed.append(trial.file)

    def trials(tests: Iterable[str]) -> list[Trial]:
        made = [each.trial(tests) for each in sabotages()]
        together = sorted({test for trial in made for test in trial.tests})
        code = partial(compile, "", "", "exec")
        return [Trial("nothing", "", "as it is", "", 0, code, together, seconds=60.0), *made]

    killing = Killing(trials, workers, done, WARM)
    tests = sorted(
        {each.test.partition("::")[0] for each in sabotages()} | {WARM.partition("::")[0]}
    )
    pytest.main([*OPTIONS, f"--basetemp={folder}/sabotage", *tests], plugins=[killing, Local()])
    unnoticed += [each.file for each in killing.put_off]
    return 1 if unnoticed else 0


def _mutate(folder: Path, given: argparse.Namespace) -> int:
    tests = given.tests or TESTS
    reach = _reach(folder, tests, keep=given.keep)
    todo = trials(files(given.only), reach, given.every, given.seed, given.seconds)
    in_use = [each for each in todo if each.function and given.moment != "import"]
    imported = [each for each in todo if not each.function and given.moment != "use"]
    scores = Scores(known(), len(in_use) + len(imported))
    if in_use:
        killing = Killing(lambda _: in_use, given.workers, scores.note, WARM)
        pytest.main([*OPTIONS, f"--basetemp={folder}/use", *tests], plugins=[killing, Local()])
        imported += killing.put_off
    check(imported, folder)
    with ThreadPoolExecutor(given.workers) as pool:
        fates = pool.map(lambda trial: attempt(trial, folder), imported)
        for trial, fate in zip(imported, fates, strict=True):
            scores.note(trial, fate)
    table, percent = scores.table()
    (CACHE / "alive.txt").write_text("\n".join(scores.noted) + "\n")
    (CACHE / "scores.json").write_text(json.dumps(scores.counts))
    print(table)
    return 0 if percent >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
