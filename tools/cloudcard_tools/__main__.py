"""`cloudcard`: one command with sub-commands that are imported when they are used."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import click

from cloudcard_tools.shared.extras import install
from cloudcard_tools.shared.lazy import LazyGroup, Row

DEBUG = "CLOUDCARD_DEBUG"
# Modules of extras that only some options of a command need.
EXTRAS = {"smartcard": "pcsc"}


COMMANDS: Mapping[str, Row] = {
    "serve": Row("cloudcard_tools.serve.command:serve", "Run the keystore.", extra="keystore"),
    "reader": Row(
        "cloudcard_tools.reader.command:reader",
        "Put cards into this computer's virtual reader, until Ctrl-C.",
    ),
    "ra": Row(
        "cloudcard_tools.ra.command:ra",
        "Registration authority: people, workstations and cards.",
        extra="ra",
    ),
    "audit": Row(
        "cloudcard_tools.audit.command:audit",
        "The journal: what happened, with proofs that nobody has changed it.",
        extra="audit",
    ),
    "backup": Row(
        "cloudcard_tools.backup.command:backup",
        "Copy the database into the new FILE, while the keystore runs.",
        extra="keystore",
    ),
    "restore": Row(
        "cloudcard_tools.backup.command:restore",
        "Restore the database of a backup into a place that has none, while no keystore runs "
        "there.",
        extra="keystore",
    ),
    "keys": Row(
        "cloudcard_tools.keys.command:keys",
        "Sealing keys: list, add, rotate and retire them.",
        extra="keystore",
    ),
    "authenticator": Row(
        "cloudcard_tools.authenticator.command:authenticator",
        "A software phone: shows what waits for you, and approves or denies it.",
        extra="authenticator",
    ),
    "trace": Row(
        "cloudcard_tools.trace.command:trace", "Record what a card was told, and replay it exactly."
    ),
    "fixture": Row(
        "cloudcard_tools.fixture.command:fixture", "Make a card for traces, from a seed."
    ),
    "demo": Row(
        "cloudcard_tools.demo.command:demo",
        "Show the whole product at work with OpenSC's pkcs11-tool.",
    ),
    "doctor": Row(
        "cloudcard_tools.doctor.command:doctor",
        "Check what this computer needs, and say what to do.",
    ),
    "bench": Row(
        "cloudcard_tools.bench.command:bench",
        "Measure how fast the card and the keystore are.",
        extra="all",
    ),
    "completion": Row(
        "cloudcard_tools.shell.completion:completion",
        "Print the script that makes SHELL complete cloudcard's commands and options.",
    ),
    "manual": Row(
        "cloudcard_tools.shell.manual:manual",
        "Write the manual pages of cloudcard and of each of its commands into FOLDER.",
    ),
}


@click.group(
    cls=LazyGroup,
    rows=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"""\b
Examples:
  cloudcard demo                      see everything work once
  cloudcard doctor                    is anything missing here?
  cloudcard reader --local            a card for development, without a keystore
  cloudcard ra card issue --help      what a command takes

\b
Exit status: 0 done, 1 failed (one line says why), 2 wrong usage.
With {DEBUG}=1 an unexpected error shows where it came from.
""",
)
@click.version_option(package_name="cloudcard", message="cloudcard %(version)s")
def cloudcard() -> None:
    """A virtual smartcard whose keys stay in a keystore and are used after approval on a phone."""


def main() -> None:
    """The entry point. An unexpected error becomes one line on standard error, and status 1."""
    try:
        cloudcard.main(prog_name="cloudcard")
    except Exception as error:
        if os.environ.get(DEBUG) == "1":
            raise
        click.echo(f"Error: {explain(error)}", err=True)
        sys.exit(1)


def explain(error: Exception) -> str:
    """One line for an error that no command has turned into a message."""
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        extra = EXTRAS.get(error.name.partition(".")[0])
        fix = install(extra) if extra else "install cloudcard again"
        return f"the Python module {error.name!r} is missing: {fix}"
    what = " ".join(str(error).split())
    return f"unexpected {type(error).__name__}: {what} ({DEBUG}=1 shows where)"


if __name__ == "__main__":
    main()
