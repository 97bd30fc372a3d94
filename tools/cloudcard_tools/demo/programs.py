"""Programs that the demo runs and waits for: our own commands, OpenSC's and OpenSSL's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cloudcard_tools.demo.timeline import StepFailed
from cloudcard_tools.shared.processes import Json

SECONDS = 150.0  # longer than the holder has to decide
MODULES = (
    Path("/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so"),
    Path("/usr/lib/aarch64-linux-gnu/opensc-pkcs11.so"),
    Path("/usr/lib64/opensc-pkcs11.so"),
    Path("/usr/lib/opensc-pkcs11.so"),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    code: int
    output: str
    errors: str


def run(command: Sequence[str], stdin: str = "", **environment: str) -> Ended:
    """Run a program. A non-zero exit code is a result, not an error."""
    done = subprocess.run(  # noqa: S603 (fixed programs, arguments of our own)
        list(command),
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=False,
        env={**os.environ, **environment},
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def must(command: Sequence[str], stdin: str = "", **environment: str) -> str:
    """Run a program and return its output. Raises StepFailed if it fails."""
    ended = run(command, stdin, **environment)
    if ended.code != 0:
        words = (ended.errors or ended.output).strip().splitlines()[-6:]
        raise StepFailed(f"{Path(command[0]).name} ended with {ended.code}:\n" + "\n".join(words))
    return ended.output


@dataclass(frozen=True, slots=True)
class Cloudcard:
    """Our command line, with a home folder of its own."""

    home: Path

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        command = [sys.executable, "-m", "cloudcard_tools", *arguments]
        return must(command, stdin, CLOUDCARD_HOME=str(self.home))

    def json(self, *arguments: str, stdin: str = "") -> dict[str, str]:
        """The object that a command prints with --json."""
        printed: Json = json.loads(self(*arguments, "--json", stdin=stdin))
        return cast("dict[str, str]", printed)


def openssl(*arguments: str | Path) -> str:
    """OpenSSL's command line."""
    return must(["openssl", *map(str, arguments)])


@dataclass(frozen=True, slots=True)
class Pkcs11:
    """OpenSC's pkcs11-tool at one slot: an application that knows nothing about cloudcard."""

    slot: int
    passcode: str

    def __call__(self, *arguments: str | Path) -> str:
        return must(self._command(*arguments))

    def attempt(self, *arguments: str | Path) -> Ended:
        """Run it; it is allowed to fail."""
        return run(self._command(*arguments))

    def sign(self, key_id: str, mechanism: str, document: Path, signature: Path) -> str:
        """Sign a file."""
        return self(*self.signing(key_id, mechanism, document, signature))

    def signing(
        self, key_id: str, mechanism: str, document: Path, signature: Path
    ) -> list[str | Path]:
        """Arguments that sign a file. An ECDSA signature is written in the format that OpenSSL
        reads.
        """
        form = ["--signature-format", "openssl"] if mechanism.startswith("ECDSA") else []
        names: list[str | Path] = ["--login", "--pin", self.passcode, "--sign", "--id", key_id]
        return [*names, "--mechanism", mechanism, *form, "-i", document, "-o", signature]

    def _command(self, *arguments: str | Path) -> list[str]:
        return [
            "pkcs11-tool",
            "--module",
            str(module()),
            "--slot-index",
            str(self.slot),
            *map(str, arguments),
        ]


def module() -> Path:
    """The path of OpenSC's PKCS#11 module. Raises StepFailed if OpenSC is not installed."""
    for path in MODULES:
        if path.exists():
            return path
    raise StepFailed("OpenSC is not installed: apt-get install opensc")
