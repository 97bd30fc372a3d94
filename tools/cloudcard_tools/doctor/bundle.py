"""The support bundle: what whoever helps from afar needs to know, without secrets."""

from __future__ import annotations

import getpass
import json
import os
import platform
import shutil
import socket
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cloudcard_tools.doctor import asking, configuration, system
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.doctor.reducing import Reducer, log_lines
from cloudcard_tools.doctor.report import Report
from cloudcard_tools.new_files import draft
from cloudcard_tools.shared import home
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import Value, iso_time
from cloudcard_tools.shared.processes import answered
from cloudcard_tools.shared.reaching import PROXY
from private_files.rules import OWNER_ONLY

LOG_COMMAND = ("--user", "--unit=cloudcard-reader.service", "--lines=200", "--output=cat")
LOG_SECONDS = 2.0
IDENTITY_FACTS = "identity.json"
NAMES = {"display_name": "name", "id": "identity", "address": "keystore"}  # in an identity's facts
LARGEST_FACTS = 1024 * 1024
LEFT_OUT = (
    "keys, certificates, tokens, passcodes, PINs and passwords",
    "values of the environment's variables, and lines of the log by others",
    "and replaced: names of people, users and hosts, serial numbers,",
    "identifiers, e-mail addresses",
)


def write(path: Path, report: Report, places: Places) -> Sequence[str]:
    """Write the bundle into a new file that only this user can read, and tell what is in it.

    Raises FileExists, and OSError.
    """
    reduce = Reducer(_known())
    contents = {
        "report.json": _document(reduce, report.facts()),
        "versions.json": _document(reduce, _versions(places)),
        "configuration.json": _document(reduce, _configuration(places)),
        "readers.json": _document(reduce, _readers()),
        "log.txt": "\n".join(log_lines(_log())) + "\n",
    }
    with draft(path) as made:
        made.chmod(OWNER_ONLY)
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in contents.items():
                archive.writestr(name, text)
    sizes = [f"  {name} ({len(text.encode())} bytes)" for name, text in contents.items()]
    return (f"{path} holds:", *sizes, "Left out:", *(f"  {each}" for each in LEFT_OUT))


def _document(reduce: Reducer, value: Value) -> str:
    return json.dumps(reduce.value(value), indent=2) + "\n"


def _versions(places: Places) -> Mapping[str, str]:
    module = places.module()
    slots = {} if module is None else asking.ask("slots", str(module))
    return {
        **system.versions(slots),
        "machine": platform.machine(),
        "written": iso_time(datetime.now(UTC)),
    }


def _configuration(places: Places) -> Value:
    """The readers of pcscd that are for cards of ours, and which variables of ours are set."""
    ours = [
        *configuration.of_library(places.readers, "cloudcard"),
        *configuration.of_library(places.readers, "vpcd"),
    ]
    return {
        "readers": [
            {"name": each.name, "device": each.device, "library": each.library} for each in ours
        ],
        "variables": sorted(name for name in os.environ if name.startswith("CLOUDCARD_")),
        "by_proxy": bool(os.environ.get(PROXY)),
        "roles": [folder.name for folder in _identities()],
    }


def _readers() -> Value:
    answer = asking.ask("readers")
    return {name: value for name, value in answer.items() if isinstance(value, (str, int, dict))}  # type: ignore[misc]


def _log() -> Sequence[str]:
    """The last lines of the reader's log, if it runs as a service of this user."""
    program = shutil.which("journalctl")
    said = None if program is None else answered([program, *LOG_COMMAND], LOG_SECONDS)
    return [] if said is None else said.stdout.splitlines()


def _known() -> Mapping[str, str]:
    """Names of this computer and of who uses it, each with the word that is written instead."""
    known = {str(Path.home()): "home", socket.gethostname(): "host"}
    with suppress(OSError, KeyError):
        known[getpass.getuser()] = "user"
    with suppress(Failure):
        known[str(home.folder())] = "cloudcard's folder"
    for folder in _identities():
        with suppress(OSError, ValueError):
            facts = json.loads((folder / IDENTITY_FACTS).read_text("utf-8")[:LARGEST_FACTS])
            for name, word in NAMES.items():
                for part in str(facts.get(name, "")).split(","):
                    known[part.rpartition(":")[0] or part] = f"{word} of {folder.name}"
    return known


def _identities() -> Sequence[Path]:
    """The folders of the identities here."""
    with suppress(Failure, OSError):
        return sorted(each.parent for each in home.folder().glob(f"*/{IDENTITY_FACTS}"))
    return []
