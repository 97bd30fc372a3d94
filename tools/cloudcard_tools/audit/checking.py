"""Checking an exported journal without the keystore."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloud_keystore.audit import notes, tree
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.audit.tree import Frontier
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import Entry, decode
from cloudcard_tools.audit.evidence import DECISIONS, History, check_decision
from cloudcard_tools.audit.lines import End, EntryLine, Header, Line, Note
from cloudcard_tools.shared.failures import Failure

CLOCK_TOLERANCE = timedelta(minutes=1)  # between replicas


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and the number of its line."""

    line: int
    wrong: str


@dataclass
class Checked:
    """What a check found; nothing is wrong if there are no findings."""

    entries: int = 0
    checkpoints: int = 0
    newest: bytes = b""  # the last checkpoint, for the auditor to keep
    findings: list[Finding] = field(default_factory=list)


def check(
    lines: Iterable[tuple[int, Line]],
    public_key: bytes | None = None,
    kept: Checkpoint | None = None,
    done: Callable[[], object] = lambda: None,
) -> Checked:
    """Check a whole journal: its tree, its checkpoints, and what its entries prove. `public_key` is
    the journal's key from a trusted source; `kept` is a checkpoint that was verified earlier.

    The check stops at the first line after which nothing more can be concluded. `done` is called
    for each entry. Raises Failure if the file is not an export.
    """
    result = Checked()
    state: _Whole | None = None
    for number, line in lines:
        if state is None:
            state = _begin(line, kept)
            if public_key is not None and state.header.public_key != public_key:
                result.findings.append(Finding(number, "this is the journal of another key"))
                return result
            continue
        wrong = state.take(line)
        if isinstance(line, EntryLine):
            done()
        if wrong is not None:
            result.findings.append(Finding(number, wrong))
            if wrong in FINAL:
                break
    if state is None:
        raise Failure("this file is empty: it is not an exported journal")
    if not result.findings or result.findings[-1].wrong not in FINAL:
        result.findings += [Finding(0, wrong) for wrong in state.end()]
    result.entries, result.checkpoints = state.tree.size, state.checkpoints
    result.newest = state.newest if not result.findings else b""
    return result


GAP = "an entry is missing, doubled or at another place"
BROKEN = "the entries before are not those of this checkpoint: one was changed, put in or taken out"
UNSIGNED = "the checkpoint is not signed by the journal's key"
REWRITTEN = "the entries are not those of the checkpoint that you kept: history was rewritten"
UNREADABLE = "this is no entry of a journal"
FINAL = {GAP, BROKEN, UNSIGNED, REWRITTEN}


class _Whole:
    """The state of a check, line by line."""

    def __init__(self, header: Header, kept: Checkpoint | None) -> None:
        self.header = header
        self.tree = Frontier()
        self.checkpoints = 0
        self.newest = b""
        self._kept = kept
        self._covered = 0
        self._history = History()
        self._latest: datetime | None = None
        self._ended: End | None = None

    def take(self, line: Line) -> str | None:
        """What is wrong with the next line; None if it is right."""
        if self._ended is not None:
            return "there is more after the end"
        match line:
            case EntryLine(index, encoded):
                return self._entry(index, encoded)
            case Note(note):
                return self._note(note)
            case End():
                self._ended = line
                return None
            case Header():
                return "a second journal begins here"

    def end(self) -> list[str]:
        """What is missing at the end."""
        missing = []
        if self._ended != End(self.tree.size, self.checkpoints):
            missing.append("the end is missing, or tells of more than there is: the file was cut")
        if self.tree.size != self.header.size or self._covered != self.tree.size:
            missing.append("the last entries are covered by no checkpoint")
        if self._kept is not None and self._kept.size > self.tree.size:
            missing.append("the journal is shorter than the checkpoint that you kept")
        return missing

    def _entry(self, index: int, encoded: bytes) -> str | None:
        if index != self.tree.size:
            return GAP
        self.tree = self.tree.append(tree.leaf_hash(encoded))
        kept = self._kept
        if kept is not None and kept.size == self.tree.size and kept.root != self.tree.root:
            return REWRITTEN
        try:
            entry = decode(encoded)
        except InvalidInput:
            return UNREADABLE
        return self._time(entry) or self._history.check(entry)

    def _time(self, entry: Entry) -> str | None:
        if self._latest is not None and entry.time < self._latest - CLOCK_TOLERANCE:
            return f"time goes back here, from {self._latest} to {entry.time}"
        self._latest = max(entry.time, self._latest or entry.time)
        return None

    def _note(self, note: bytes) -> str | None:
        try:
            checkpoint = notes.open_(note, self.header.public_key)
        except InvalidInput:
            return UNSIGNED
        if checkpoint != Checkpoint(self.header.origin, self.tree.size, self.tree.root):
            return BROKEN
        self.checkpoints += 1
        self._covered = checkpoint.size
        self.newest = note
        return None


def check_pack(
    lines: Iterable[tuple[int, Line]], public_key: bytes | None, kept: Checkpoint | None
) -> Checked:
    """Check the entries of an evidence pack: that each is in the journal of its checkpoint, and
    that devices signed its decisions. This says nothing about entries that are not in the pack.
    """
    result = Checked()
    header: Header | None = None
    head: Checkpoint | None = None
    ended = False
    for number, line in lines:
        wrong: str | None = None
        match line:
            case Header() if header is None:
                header = line
                if public_key is not None and line.public_key != public_key:
                    wrong = "this is the journal of another key"
            case Note(note) if header is not None and head is None:
                try:
                    head = notes.open_(note, header.public_key)
                    result.checkpoints, result.newest = 1, note
                except InvalidInput:
                    wrong = UNSIGNED
                if kept is not None and head == kept:
                    kept = None
            case EntryLine() if head is not None:
                wrong = _proved(line, head)
                result.entries += 1
            case End(entries, _):
                ended = entries == result.entries
            case _:
                wrong = "this line is out of place"
        if wrong is not None:
            result.findings.append(Finding(number, wrong))
            if head is None:
                return result
    if not ended:
        result.findings.append(Finding(0, "the end is missing: the pack was cut"))
    if kept is not None:
        result.findings.append(
            Finding(0, "the pack is of another checkpoint than the one you kept")
        )
    return result


def _proved(line: EntryLine, head: Checkpoint) -> str | None:
    leaf = tree.leaf_hash(line.entry)
    if not tree.includes(head.root, head.size, line.index, leaf, line.proof or ()):
        return "this entry is not in the journal of the checkpoint"
    try:
        entry = decode(line.entry)
    except InvalidInput:
        return UNREADABLE
    return check_decision(entry) if entry.kind in DECISIONS else None


def _begin(line: Line, kept: Checkpoint | None) -> _Whole:
    if not isinstance(line, Header):
        raise Failure("line 1 is not the header of an exported journal")
    if kept is not None and kept.origin != line.origin:
        raise Failure(f"the kept checkpoint is of {kept.origin}, the export of {line.origin}")
    return _Whole(line, kept)
