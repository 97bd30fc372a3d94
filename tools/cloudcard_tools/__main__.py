"""`cloudcard`: one command with sub-commands that are imported when they are used."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from cloudcard_tools import ending, streams
from cloudcard_tools.shell.lazy import LazyGroup, Row

COMMANDS: Mapping[str, Row] = {
    "serve": Row("cloudcard_tools.serve.command:serve", "Run the keystore.", extra="keystore"),
    "reader": Row(
        "cloudcard_tools.reader.command:reader",
        "Put cards into this computer's readers, until Ctrl-C.",
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
        "The keystore's own keys: sealing keys, authorities, and a way back for operators.",
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
    "simulate": Row(
        "cloudcard_tools.simulate.command:simulate",
        "Simulators of services around the card, for developers without a network.",
        extra="simulate",
    ),
    "eps": Row(
        "cloudcard_tools.eps.command:eps",
        "Signatures of prescriptions, as the Electronic Prescription Service has them.",
        extra="eps",
    ),
    "spine": Row(
        "cloudcard_tools.spine.command:spine",
        "Log in at a simulated session broker with a card in a reader, and check its tickets.",
        extra="spine",
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
Exit status: 0 done, 1 failed (a message says why and what to do), 2 wrong usage,
130 interrupted, 141 nobody reads the output. With --json a failure is an object too:
{{"error": {{"reason": …, "message": …, "exit_status": …}}}}.
With {ending.DEBUG}=1 an error shows where it came from.
""",
)
@click.version_option(package_name="cloudcard", message="cloudcard %(version)s")
def cloudcard() -> None:
    """A virtual smartcard whose keys stay in a keystore and are used after approval on a phone."""


def main() -> None:
    """The entry point."""
    streams.prepare()
    sys.exit(ending.run(cloudcard, sys.argv[1:]))


if __name__ == "__main__":
    main()
