"""Evidence packs: what they prove, and every way to change one."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from cloud_keystore.audit import notes, proofs, tree
from cloud_keystore.model.journal import Entry, Kind, decode
from cloudcard_tools.audit import pack
from cloudcard_tools.audit.checking import Checked
from cloudcard_tools.audit.lines import EntryLine, Header, Line, Note
from cloudcard_tools.audit.pack_checking import NAMES, check_pack
from cloudcard_tools.audit.service import Head
from cloudcard_tools.shared.failures import Failure
from support.exports import KEY, Export, Story, edit, first, repacked, resigned

Chosen = Callable[[Entry], bool]


def of_ada(past: Story) -> Chosen:
    """What `cloudcard audit pack --user Ada` chooses."""
    ada, pc = past.ada.identity.user_id, past.pc.identity.id
    enrolments = {Kind.IDENTITY_INVITED, Kind.IDENTITY_ENROLLED}
    return lambda entry: (
        entry.user_id == ada or (entry.kind in enrolments and entry.workstation_id == pc)
    )


def packed(folder: Path, export: Export, chosen: Chosen, name: str = "Ada") -> Path:
    """A pack of some entries, in which Ada has a name."""
    header = export[0]
    assert isinstance(header, Header)
    entries = [line for line in export if isinstance(line, EntryLine)]
    leaves = [tree.leaf_hash(entry.entry) for entry in entries]
    newest = [line.note for line in export if isinstance(line, Note)][-1]
    proved = []
    for entry in entries:
        if chosen(decode(entry.entry)):
            ranges = proofs.inclusion_ranges(entry.index, len(leaves))
            found = proofs.range_roots(leaves, ranges)
            proof = tuple(found[each] for each in ranges)
            proved.append(EntryLine(entry.index, entry.entry, proof))
    head = Head(header.origin, header.public_key, newest, notes.open_(newest, header.public_key))
    path = folder / "pack.zip"
    pack.pack(path, head, proved, {decode(proved[0].entry).user_id or "": name})
    return path


def checked(path: Path, public_key: bytes | None = None) -> Checked:
    with pack.opened(path) as found:
        return check_pack(found, public_key)


def findings(path: Path) -> list[str]:
    return [each.wrong for each in checked(path).findings]


def lines_of(path: Path) -> list[Line]:
    with pack.opened(path) as found:
        return [line for _, line in found.lines]


def check_lines(path: Path, lines: Iterable[Line]) -> list[str]:
    """What is wrong with a pack that has these lines."""
    with pack.opened(path) as found:
        changed = pack.Opened(list(enumerate(lines, 1)), found.files, found.is_old)
        return [each.wrong for each in check_pack(changed).findings]


@pytest.fixture
def path(tmp_path: Path, past: Story, export: Export) -> Path:
    """A pack of what Ada did."""
    return packed(tmp_path, export, of_ada(past))


def test_a_true_pack(past: Story, path: Path) -> None:
    result = checked(path, past.world.reading.log.public_key)
    assert result.findings == []
    assert (result.counts.approved, result.counts.sessions, result.counts.uses) == (3, 1, 4)
    assert result.unshown == {NAMES: 1}


def test_equal_packs_have_equal_bytes(past: Story, export: Export, path: Path) -> None:
    before = path.read_bytes()
    assert packed(path.parent, export, of_ada(past)).read_bytes() == before


def test_a_pack_whose_files_were_changed(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files[pack.TABLE] += b" "
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in files.items():
            archive.writestr(name, value)
    with pytest.raises(Failure, match=r"entries\.csv"), pack.opened(path):
        pass


@pytest.mark.parametrize("name", [pack.TABLE, pack.README, pack.NOTE])
def test_a_file_for_people_that_says_something_else(path: Path, name: str) -> None:
    """`entries.csv` was changed, and the manifest with it: the pack verified, and people read the
    table.
    """
    other = repacked(path, lambda each, value: value.swapcase() if each == name else value)
    assert findings(other) == [f"{name} says something else than the entries prove"]


def test_a_pack_with_further_files(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../etc/passwd", b"")
    with pytest.raises(Failure, match="other files"), pack.opened(path):
        pass


def test_an_entry_of_another_journal_in_a_pack(path: Path) -> None:
    lines = lines_of(path)
    one = lines[2]
    assert isinstance(one, EntryLine)
    lines[2] = EntryLine(one.index + 1, one.entry, one.proof)
    assert check_lines(path, lines)[0] == "this entry is not in the journal of the checkpoint"


def test_entries_doubled_or_exchanged(path: Path) -> None:
    """An entry that stood twice in a pack was counted twice."""
    lines = lines_of(path)
    doubled = [*lines[:3], lines[2], *lines[3:]]
    exchanged = [*lines[:2], lines[3], lines[2], *lines[4:]]
    for changed in (doubled, exchanged):
        assert "this entry is doubled or at another place" in check_lines(path, changed)


def test_a_decision_by_a_key_of_nobody(tmp_path: Path, past: Story, export: Export) -> None:
    """A pack did not have the enrolment of the device, so that any key could have decided."""
    chosen = of_ada(past)
    without = packed(
        tmp_path,
        export,
        lambda entry: chosen(entry) and entry.kind is not Kind.IDENTITY_ENROLLED,
    )
    assert "the enrolment of the device that signed it is not in the pack" in findings(without)


def test_what_is_wrong_with_a_journal_is_wrong_with_its_pack(
    tmp_path: Path, past: Story, export: Export
) -> None:
    """Somebody who has the journal's key says that a denial was an approval."""
    edit_kind = first(export, Kind.OPERATION_DENIED)

    def approved(entry: Entry) -> Entry:
        return Entry(**{**_fields(entry), "kind": Kind.OPERATION_APPROVED})  # type: ignore[arg-type]

    edit(export, edit_kind, approved)
    forged = packed(tmp_path, resigned(export, KEY), of_ada(past))
    assert "the device signed another decision" in findings(forged)


def _fields(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in Entry.__dataclass_fields__}


def test_the_header_of_another_journal(path: Path) -> None:
    lines = lines_of(path)
    header = lines[0]
    assert isinstance(header, Header)
    lines[0] = Header(header.origin, header.public_key, header.size + 1)
    found = check_lines(path, lines)
    assert found[0] == "the first line tells of another journal than the checkpoint"


def test_a_pack_that_was_cut(path: Path) -> None:
    assert "the end is missing: the pack was cut" in check_lines(path, lines_of(path)[:-1])


def test_no_cell_of_a_pack_is_a_formula(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        cells = [
            cell
            for name in (pack.TABLE, pack.NAMES)
            for row in csv.reader(io.StringIO(archive.read(name).decode()))
            for cell in row
        ]
    assert "Ada" in cells
    assert not any(cell.startswith(pack.FORMULA) for cell in cells)


@pytest.mark.parametrize("name", ["=Ada", "\n=Ada", "\uff1dAda", "'=Ada"])
def test_no_name_in_a_pack_is_a_formula(past: Story, export: Export, path: Path, name: str) -> None:
    """In no program: the fullwidth sign begins one too."""
    other = packed(path.parent, export, of_ada(past), name)
    with zipfile.ZipFile(other) as archive:
        written = io.StringIO(archive.read(pack.NAMES).decode(), newline="")
    names = [row[1] for row in csv.reader(written)]
    assert f"'{name}" in names
    assert name not in names
    assert checked(other).findings == []
