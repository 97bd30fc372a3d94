"""What must hold, whatever went wrong: one approval has one use at most, no limit is passed, a card
that was ordered is issued once, and the journal agrees with what clients hold.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from chaos.clients import Held
from cloud_keystore.model.journal import Entry, Kind, decode
from cloud_keystore.model.sessions import inputs_sha256
from cloudcard_tools.audit import lines
from cloudcard_tools.audit.lines import EntryLine

ANSWER_SECONDS = 60


def cloudcard(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    command = [sys.executable, "-m", "cloudcard_tools", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def answered(*arguments: str) -> str:
    """What a command prints once the keystore answers it: a process of it may begin anew."""
    until = time.monotonic() + ANSWER_SECONDS
    while (done := cloudcard(*arguments)).returncode:
        if time.monotonic() > until:
            raise AssertionError(done.stderr or done.stdout)
        time.sleep(1)
    return done.stdout


def exported(auditor: Path, target: Path) -> list[Entry]:
    """The whole journal, as an auditor gets it."""
    answered("audit", "export", str(target), "--identity", str(auditor))
    with target.open("rb") as file:
        return [decode(line.entry) for _, line in lines.read(file) if isinstance(line, EntryLine)]


def verified(auditor: Path, export: Path) -> list[str]:
    """What `cloudcard audit verify` finds."""
    key = json.loads(answered("audit", "key", "--json", "--identity", str(auditor)))
    done = cloudcard("audit", "verify", str(export), "--journal-key", key["journal_key"], "--json")
    if done.returncode == 0:
        return []
    return [f"cloudcard audit verify: {(done.stdout or done.stderr)[:2000]}"]


def judged(held: Held, entries: list[Entry]) -> list[str]:
    """What is wrong."""
    of_kind = {kind: [each for each in entries if each.kind is kind] for kind in Kind}
    wrong = list(held.wrong)
    used = Counter(str(each.operation_id) for each in of_kind[Kind.OPERATION_USED])
    failed = {str(each.operation_id) for each in of_kind[Kind.OPERATION_FAILED]}
    wrong += [f"operation {each} was used {n} times" for each, n in used.items() if n > 1]
    for operation in held.results:
        if not used[operation]:
            wrong.append(f"a result of operation {operation} is held, and it was never used")
        if operation in failed:
            wrong.append(f"a result of operation {operation} is held, and it is called failed")
    for kind, known in (
        (Kind.OPERATION_ASKED, held.asked),
        (Kind.OPERATION_APPROVED, held.approved),
    ):
        there = {each.operation_id for each in of_kind[kind]}
        wrong += [f"{kind.value} {each} was answered, and is lost" for each in known - there]
    wrong += _sessions(held, of_kind[Kind.SESSION_USED], failed)
    return wrong + _cards(held, of_kind)


def _cards(held: Held, of_kind: Mapping[Kind, list[Entry]]) -> list[str]:
    """What was ordered is issued in the end, once, or failed in words."""
    issued = Counter(str(each.details["serial"]) for each in of_kind[Kind.CARD_ISSUED])
    wrong = [f"card {serial} was issued {n} times" for serial, n in issued.items() if n > 1]
    wrong += [
        f"card {serial} was answered, and never issued"
        for serial in held.cards.values()
        if not issued[serial]
    ]
    ended = (Kind.CARD_ISSUED, Kind.CARD_FAILED)
    over = {each.card_id for kind in ended for each in of_kind[kind]}
    ordered = {each.card_id for each in of_kind[Kind.CARD_ORDERED]}
    return wrong + [f"card {each} was ordered, and was left" for each in ordered - over]


def _sessions(held: Held, told: list[Entry], failed: set[str]) -> list[str]:
    wrong, spent = [], Counter[str]()
    uses: dict[tuple[str, bytes], list[str]] = {}
    for each in told:
        session = str(each.details["session"])
        spent[session] += int(each.details["inputs"])
        uses.setdefault((session, each.evidence["input_sha256"]), []).append(str(each.operation_id))
    for session, most in held.sessions.items():
        if spent[session] > most:
            wrong.append(f"session {session} was used {spent[session]} times of {most}")
    for session, inputs in held.uses:
        found = uses.get((session, inputs_sha256(inputs)), [])
        if len(found) != 1:
            wrong.append(
                f"a use of session {session} that a client holds is told {len(found)} times"
            )
        if failed & set(found):
            wrong.append(f"a use of session {session} is held, and it is called failed")
    return wrong
