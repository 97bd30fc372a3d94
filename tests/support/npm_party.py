"""A relying party that others wrote for Node.js, from packages of npm in tests/npm."""

from __future__ import annotations

import base64
import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha512
from io import BytesIO
from pathlib import Path
from subprocess import PIPE, Popen

from joserfc.jwk import RSAKey

PACKAGES = Path(__file__).parents[1] / "npm"
SCRIPT = "party.cjs"


def unpack(folder: Path) -> None:
    """Put the packages where Node.js finds them, if they are those of the lock file."""
    locked = json.loads((PACKAGES / "package-lock.json").read_text())["packages"]
    for path, package in locked.items():
        if not path:
            continue
        content = (PACKAGES / f"{Path(path).name}-{package['version']}.tgz").read_bytes()
        digest = base64.b64encode(sha512(content).digest()).decode()
        assert package["integrity"] == f"sha512-{digest}", path
        with tarfile.open(fileobj=BytesIO(content)) as archive:
            archive.extractall(folder / path, filter="data")
        # All of these packages' files are in one folder of the archive.
        for each in (folder / path / "package").iterdir():
            each.rename(folder / path / each.name)
    shutil.copy(PACKAGES / SCRIPT, folder)


class PartyRefuses(Exception):
    """The party does not take what the provider has given it."""


@dataclass(frozen=True)
class NpmParty:
    """The program, which is told what to do."""

    program: Popen[str]

    def ask(self, step: str, **told: object) -> dict[str, object]:
        """Have it do a step. Raises PartyRefuses."""
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        self.program.stdin.write(json.dumps({"step": step, **told}) + "\n")
        self.program.stdin.flush()
        answer: dict[str, object] = json.loads(self.program.stdout.readline())
        if "error" in answer:
            raise PartyRefuses(answer["error"])
        return answer


@contextmanager
def npm_party(folder: Path, trust: Path) -> Iterator[NpmParty]:
    """The program, which trusts servers of this authority."""
    unpack(folder)
    node = shutil.which("node")
    assert node is not None, "make clients installs Node.js"
    environment = {"NODE_EXTRA_CA_CERTS": str(trust), "PATH": ""}
    with Popen(
        [node, str(folder / SCRIPT)], stdin=PIPE, stdout=PIPE, text=True, env=environment
    ) as program:
        yield NpmParty(program)
        program.communicate()


def private(key: RSAKey) -> dict[str, object]:
    """The client's own key, as the program takes it."""
    return {"keys": [key.as_dict(private=True)]}
