"""Checking an evidence pack without the keystore: its entries, and what is made of them."""

from __future__ import annotations

from cloud_keystore.audit import notes, tree
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import decode
from cloudcard_tools.audit.checking import UNREADABLE, UNSIGNED, Checked, Finding
from cloudcard_tools.audit.grounds import Ground
from cloudcard_tools.audit.history import History
from cloudcard_tools.audit.lines import End, EntryLine, Header, Line, Note
from cloudcard_tools.audit.pack import MADE, NOTE, TABLE, Opened, made_of, same_table

NOT_PROVED = "this entry is not in the journal of the checkpoint"
OLD_TEXT = "that README.txt and the names in entries.csv are right, because this pack is of before"
NAMES = "that the names in names.csv are right, which the keystore gave when the pack was made"


def check_pack(
    pack: Opened, public_key: bytes | None = None, kept: Checkpoint | None = None
) -> Checked:
    """Check the entries of an evidence pack: that each is in the journal of its checkpoint, and
    what they prove; and that the files for people say the same. This says nothing about entries
    that are not in the pack.
    """
    state = _Pack(History(Ground(whole=False, enrolments=not pack.is_old)), kept)
    for number, line in pack.lines:
        wrong = state.take(line, public_key)
        if wrong is not None:
            state.result.findings.append(Finding(number, wrong))
            if state.head is None:
                break
    else:
        state.result.findings += [Finding(0, wrong) for wrong in (*state.end(), *state.files(pack))]
    state.result.tell(state.history)
    return state.result


class _Pack:
    """The state of a check, line by line."""

    def __init__(self, history: History, kept: Checkpoint | None) -> None:
        self.result = Checked()
        self.history = history
        self.head: Checkpoint | None = None
        self._header: Header | None = None
        self._note = b""
        self._kept = kept
        self._next = 0
        self._ended = False
        self._proved: list[EntryLine] = []

    def take(self, line: Line, public_key: bytes | None) -> str | None:
        """What is wrong with the next line; None if it is right."""
        match line:
            case Header() if self._header is None:
                self._header = line
                if public_key is not None and line.public_key != public_key:
                    return "this is the journal of another key"
            case Note(note) if self._header is not None and self.head is None:
                return self._begin(note, self._header)
            case EntryLine() if self.head is not None and not self._ended:
                self.result.entries += 1
                return self._entry(line, self.head)
            case End(entries, _):
                self._ended = entries == self.result.entries
            case _:
                return "this line is out of place"
        return None

    def end(self) -> list[str]:
        """What is missing at the end."""
        missing = []
        if not self._ended:
            missing.append("the end is missing: the pack was cut")
        if self._kept is not None and self.head != self._kept:
            missing.append("the pack is of another checkpoint than the one you kept")
        return missing

    def files(self, pack: Opened) -> list[str]:
        """Which of the files for people say something else than the entries that were proved."""
        ground = self.history.ground
        if self._header is None:
            return []
        made = made_of(self._header, self._note, self._proved)
        if pack.is_old:
            ground.cannot_show(OLD_TEXT)
            same = {NOTE: pack.files[NOTE] == made[NOTE]}
            same[TABLE] = same_table(pack.files[TABLE], made[TABLE])
            wrong = [name for name in same if not same[name]]
        else:
            ground.cannot_show(NAMES)
            wrong = [name for name in MADE if pack.files[name] != made[name]]
        return [f"{name} says something else than the entries prove" for name in wrong]

    def _begin(self, note: bytes, header: Header) -> str | None:
        try:
            self.head = notes.open_(note, header.public_key)
        except InvalidInput:
            return UNSIGNED
        self._note = note
        self.result.checkpoints, self.result.newest = 1, note
        if (self.head.origin, self.head.size) != (header.origin, header.size):
            return "the first line tells of another journal than the checkpoint"
        return None

    def _entry(self, line: EntryLine, head: Checkpoint) -> str | None:
        leaf = tree.leaf_hash(line.entry)
        if not tree.includes(head.root, head.size, line.index, leaf, line.proof or ()):
            return NOT_PROVED
        if line.index < self._next:
            return "this entry is doubled or at another place"
        self._next = line.index + 1
        try:
            entry = decode(line.entry)
        except InvalidInput:
            return UNREADABLE
        self._proved.append(line)
        return self.history.check(entry)
