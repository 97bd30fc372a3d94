"""Checking an exported journal without the keystore."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cloud_keystore.audit import notes, tree
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.audit.tree import Frontier
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import Entry, decode
from cloudcard_tools.audit.grounds import Ground, is_later
from cloudcard_tools.audit.history import History
from cloudcard_tools.audit.lines import End, EntryLine, Header, Line, Note
from cloudcard_tools.audit.operations import Counts
from cloudcard_tools.shared.failures import Failure


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
    since: datetime | None = None  # of the first entry
    until: datetime | None = None  # of the last entry
    counts: Counts = field(default_factory=Counts)
    unshown: Mapping[str, int] = field(default_factory=dict)  # what it could not show; how often

    def tell(self, history: History) -> None:
        """Take over what a history has counted."""
        self.since, self.until = history.since, history.until
        self.counts, self.unshown = history.counts, history.ground.unshown


def check(
    lines: Iterable[tuple[int, Line]],
    public_key: bytes | None = None,
    kept: Checkpoint | None = None,
    done: Callable[[], object] = lambda: None,
    witnessed: datetime | None = None,
) -> Checked:
    """Check a whole journal: its tree, its checkpoints, and what its entries prove. `public_key` is
    the journal's key from a trusted source; `kept` is a checkpoint that was verified earlier, and
    `witnessed` the time when a witness saw it.

    The check stops at the first line after which nothing more can be concluded. `done` is called
    for each entry. Raises Failure if the file is not an export.
    """
    result = Checked()
    state: _Whole | None = None
    for number, line in lines:
        if state is None:
            state = _begin(line, kept, witnessed)
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
    result.tell(state.history)
    result.newest = state.newest if not result.findings else b""
    return result


GAP = "an entry is missing, doubled or at another place"
BROKEN = "the entries before are not those of this checkpoint: one was changed, put in or taken out"
UNSIGNED = "the checkpoint is not signed by the journal's key"
REWRITTEN = "the entries are not those of the checkpoint that you kept: history was rewritten"
FROM_THE_FUTURE = "the entry is dated after the time when the witness saw it"
UNREADABLE = "this is no entry of a journal"
FINAL = {GAP, BROKEN, UNSIGNED, REWRITTEN}


class _Whole:
    """The state of a check, line by line."""

    def __init__(self, header: Header, kept: Checkpoint | None, witnessed: datetime | None) -> None:
        self.header = header
        self.tree = Frontier()
        self.checkpoints = 0
        self.newest = b""
        self._kept = kept
        self._witnessed = witnessed
        self._covered = 0
        self.history = History(Ground(whole=True))
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
        return self.history.check(entry) or self._date(entry)

    def _date(self, entry: Entry) -> str | None:
        """What is wrong with the date of an entry that a witness has seen."""
        seen, kept = self._witnessed, self._kept
        if seen is None or kept is None or self.tree.size > kept.size:
            return None
        return FROM_THE_FUTURE if is_later(entry.time, seen) else None

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


def _begin(line: Line, kept: Checkpoint | None, witnessed: datetime | None) -> _Whole:
    if not isinstance(line, Header):
        raise Failure("line 1 is not the header of an exported journal")
    if kept is not None and kept.origin != line.origin:
        raise Failure(f"the kept checkpoint is of {kept.origin}, the export of {line.origin}")
    return _Whole(line, kept, witnessed)
