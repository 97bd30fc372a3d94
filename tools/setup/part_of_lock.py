"""Prints what some extras need of requirements.lock, with its hashes: for example, what
`part_of_lock.py reader pcsc` says is all that the workstation's package contains.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"

NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
EXTRAS = re.compile(r"\[([\w, -]+)\]")
VIA = re.compile(r"#(?: via)?\s+([a-z0-9][\w.-]*)$", re.MULTILINE)


def part(extras: tuple[str, ...]) -> str:
    """The blocks of the lock that the extras need, and what is always needed, in its order."""
    blocks = {
        _name(block): block
        for block in re.split(r"\n(?=[a-z0-9])", LOCK.read_text("utf-8").rstrip("\n"))
        if not block.startswith("#")
    }
    wanted = _required(extras) & set(blocks)
    while True:
        further = {name for name, block in blocks.items() if wanted & set(VIA.findall(block))}
        if further <= wanted:
            return "".join(f"{block}\n" for name, block in blocks.items() if name in wanted)
        wanted |= further


def _required(extras: tuple[str, ...]) -> set[str]:
    """What pyproject.toml names for extras, and always."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    found: set[str] = set()
    for line in lines:
        name = _name(line)
        if name == project["name"]:
            found |= _required(tuple(re.split(r",\s*", EXTRAS.findall(line)[0])))
        else:
            found.add(name)
    return found


def _name(line: str) -> str:
    """The name at the beginning of a requirement, as the lock writes it."""
    found = NAME.match(line)
    if found is None:
        raise SystemExit(f"no package is named in {line!r}")
    return re.sub(r"[-_.]+", "-", found[0]).lower()


if __name__ == "__main__":
    sys.stdout.write(part(tuple(sys.argv[1:])))
