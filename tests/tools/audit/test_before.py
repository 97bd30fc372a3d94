"""A journal and a pack of an earlier commit, checked with the code of today: what they hold
verifies, and the check says what they cannot show.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from cloudcard_tools.audit import lines, pack
from cloudcard_tools.audit.cards import NOT_TOLD
from cloudcard_tools.audit.checking import Checked, check
from cloudcard_tools.audit.enrolments import NO_ENROLMENT, NOT_BOUND
from cloudcard_tools.audit.evidence import NO_NUMBER
from cloudcard_tools.audit.grounds import LEFT_OUT
from cloudcard_tools.audit.pack_checking import OLD_TEXT, check_pack
from cloudcard_tools.shared.failures import Failure
from support.exports import repacked

SAMPLES = Path(__file__).parents[2] / "samples" / "journals"
OLD_PACK = SAMPLES / "pack-1.zip"


def check_old_pack(path: Path) -> Checked:
    with pack.opened(path) as found:
        return check_pack(found)


def test_a_journal() -> None:
    text = gzip.decompress((SAMPLES / "journal-1.jsonl.gz").read_bytes())
    result = check(lines.read(io.BytesIO(text)))
    assert result.findings == []
    assert result.entries == 39
    assert set(result.unshown) == {NO_NUMBER, NOT_BOUND, NOT_TOLD}
    counts = result.counts
    assert (counts.approved, counts.refused, counts.sessions) == (3, 1, 1)
    # What the keystore called a failure then was a use that nobody had settled.
    assert (counts.uses, counts.failed, counts.unsettled) == (3, 0, 1)


def test_a_pack() -> None:
    result = check_old_pack(OLD_PACK)
    assert result.findings == []
    assert set(result.unshown) == {NO_NUMBER, NOT_TOLD, NO_ENROLMENT, LEFT_OUT, OLD_TEXT}


def test_a_pack_whose_table_was_changed(tmp_path: Path) -> None:
    """The table of a pack of before was changed, and verified."""
    path = tmp_path / "pack.zip"
    path.write_bytes(OLD_PACK.read_bytes())
    other = repacked(
        path,
        lambda name, value: value.replace(b"approved", b"denied") if name == pack.TABLE else value,
    )
    found = [each.wrong for each in check_old_pack(other).findings]
    assert found == ["entries.csv says something else than the entries prove"]


@pytest.mark.parametrize("name", [pack.README, pack.TABLE, pack.NOTE])
def test_a_pack_of_before_has_all_its_files(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(OLD_PACK) as archive:
        files = {each: archive.read(each) for each in archive.namelist() if each != name}
    path = tmp_path / "pack.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for each, value in files.items():
            archive.writestr(each, value)
    with pytest.raises(Failure, match="other files"):
        check_old_pack(path)
