"""A journal as a folder of tiles: what static hosting serves, and what its check finds."""

from __future__ import annotations

import base64
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloud_keystore.audit import tree
from cloudcard_tools.audit import lines, tiles
from cloudcard_tools.audit.checking import BROKEN, Checked
from cloudcard_tools.audit.command import audit
from cloudcard_tools.audit.lines import EntryLine, Header, Note
from cloudcard_tools.audit.tiles import ANOTHER_TILE, CHECKPOINT, check_folder, path_of
from cloudcard_tools.shared.failures import Failure
from support.exports import Export

SMALL = 16  # hashes of a tile, so that few entries make several levels


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "WIDTH", SMALL)


@pytest.fixture
def folder(tmp_path: Path, export: Export) -> Path:
    """The tiles of a journal."""
    tiles.write(tmp_path / "tiles", enumerate(export, 1))
    return tmp_path / "tiles"


def header(export: Export) -> Header:
    assert isinstance(export[0], Header)
    return export[0]


def checked(folder: Path, export: Export) -> Checked:
    return check_folder(folder, header(export).public_key, None)


@pytest.mark.parametrize(
    ("number", "width", "path"),
    [
        (0, 256, "tile/0/000"),
        (0, 3, "tile/0/000.p/3"),
        (999, 256, "tile/0/999"),
        (1234067, 256, "tile/0/x001/x234/067"),  # the example of tlog-tiles
        (1234067, 8, "tile/0/x001/x234/067.p/8"),
        (1000, 256, "tile/0/x001/000"),
    ],
)
def test_paths(monkeypatch: pytest.MonkeyPatch, number: int, width: int, path: str) -> None:
    monkeypatch.setattr(tiles, "WIDTH", 256)
    assert path_of("0", number, width) == path


def test_the_widths_of_the_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its example is a tree of 70,000 entries."""
    monkeypatch.setattr(tiles, "WIDTH", 256)
    made = dict(tiles.tiles(b"" for _ in range(70_000)))
    hashes = {path: content for path, content in made.items() if "entries" not in path}
    assert len(hashes) == 273 + 1 + 1 + 1 + 1
    assert len(hashes["tile/0/272"]) == 256 * 32
    assert len(hashes["tile/0/273.p/112"]) == 112 * 32
    assert len(hashes["tile/1/001.p/17"]) == 17 * 32
    assert len(hashes["tile/2/000.p/1"]) == 32
    assert hashes["tile/1/000"][:32] == tree.root_of([sha256(b"\0").digest()] * 256)


def test_each_tile_is_of_the_tree(folder: Path, export: Export) -> None:
    entries = [line.entry for line in export if isinstance(line, EntryLine)]
    leaves = [tree.leaf_hash(entry) for entry in entries]
    assert len(entries) > 2 * SMALL
    first = (folder / "tile/entries/001").read_bytes()
    assert first.startswith(len(entries[SMALL]).to_bytes(2, "big") + entries[SMALL])
    assert (folder / "tile/0/001").read_bytes() == b"".join(leaves[SMALL : 2 * SMALL])
    above = folder / path_of("1", 0, len(entries) // SMALL)
    assert above.read_bytes()[:32] == tree.root_of(leaves[:SMALL])
    newest = [line.note for line in export if isinstance(line, Note)][-1]
    assert (folder / CHECKPOINT).read_bytes() == newest
    found = checked(folder, export)
    assert (found.findings, found.entries, found.newest) == ([], len(entries), newest)


def _edit(path: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / path).write_bytes(change((folder / path).read_bytes()))

    return edit


def _exchange(folder: Path) -> None:
    one, other = folder / "tile/entries/000", folder / "tile/entries/001"
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (
            _edit("tile/entries/001", lambda all_: all_.replace(b"workstation", b"werkstation")),
            BROKEN,
        ),
        (_exchange, BROKEN),
        (_edit("tile/0/001", lambda all_: all_[32:] + all_[:32]), ANOTHER_TILE),
        (_edit("tile/0/000", lambda all_: all_[:-1]), ANOTHER_TILE),
    ],
)
def test_what_was_changed_is_found(
    folder: Path, export: Export, change: Callable[[Path], None], wrong: str
) -> None:
    change(folder)
    found = checked(folder, export)
    assert any(each.wrong.endswith(wrong) for each in found.findings)
    assert found.newest == b""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / "tile/entries/001").unlink(), "part of the journal"),
        (lambda folder: (folder / "tile/0/001").unlink(), "part of the journal"),
        (lambda folder: (folder / CHECKPOINT).unlink(), "part of the journal"),
        (_edit("tile/entries/000", lambda all_: all_[:-1]), "is cut"),
        (_edit("tile/entries/000", lambda all_: all_ + b"\0\0"), "has 17 entries, not 16"),
        (_edit(CHECKPOINT, lambda note: note.replace(b"\n", b"\n1", 1)), r"not signed|no signed"),
    ],
)
def test_what_is_missing_is_told(
    folder: Path, export: Export, change: Callable[[Path], None], told: str
) -> None:
    change(folder)
    with pytest.raises(Failure, match=told):
        checked(folder, export)


def test_on_the_command_line(
    tmp_path: Path, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "WIDTH", 256)
    file, folder, key = tmp_path / "journal.jsonl", tmp_path / "folder", tmp_path / "key"
    file.write_text("".join(map(lines.write, export)))
    written = CliRunner().invoke(audit, ["tiles", str(file), str(folder)])
    assert written.exit_code == 0, written.output
    refused = CliRunner().invoke(audit, ["verify", str(folder)])
    assert refused.exit_code == 2
    assert "--journal-key" in refused.output

    key.write_text(base64.b64encode(header(export).public_key).decode())
    right = CliRunner().invoke(audit, ["verify", str(folder), "--journal-key", str(key)])
    assert right.exit_code == 0, right.output
    assert "nothing is wrong" in right.output
    kept = tmp_path / "kept"
    notes = [line.note for line in export if isinstance(line, Note)]
    kept.write_bytes(notes[0])
    since = ["--journal-key", str(key), "--since-checkpoint", str(kept)]
    assert CliRunner().invoke(audit, ["verify", str(folder), *since]).exit_code == 0


def test_an_export_without_its_last_checkpoint(tmp_path: Path, export: Export) -> None:
    last = max(place for place, line in enumerate(export) if isinstance(line, Note))
    with pytest.raises(Failure, match="no checkpoint"):
        tiles.write(tmp_path / "tiles", enumerate(export[:last] + export[last + 1 :], 1))
    assert not (tmp_path / "tiles" / CHECKPOINT).exists()


def test_an_entry_that_is_too_long() -> None:
    with pytest.raises(Failure, match="no tile takes it"):
        list(tiles.tiles([b"x" * 65536]))
