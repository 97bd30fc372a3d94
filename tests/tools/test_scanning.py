"""The codes that we show can be scanned: from pictures, and from what a terminal shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import segno
from PIL import Image

from cloud_keystore.approval import qr
from cloudcard_tools.authenticator.scanning import read_code
from cloudcard_tools.shared.failures import Failure

TEXT = qr.text("01a20703-afa0-75f0-bfb4-7f5b93cf92d7", bytes(range(16)))


def test_a_text_is_taken_as_it_is() -> None:
    assert read_code(f" {TEXT}\n") == TEXT


def test_a_picture(tmp_path: Path) -> None:
    segno.make(TEXT, error="m").save(str(tmp_path / "code.png"), scale=4)
    assert read_code(str(tmp_path / "code.png")) == TEXT


def test_a_tilted_and_scaled_picture(tmp_path: Path) -> None:
    segno.make(TEXT, error="m").save(str(tmp_path / "code.png"), scale=8)
    with Image.open(tmp_path / "code.png") as picture:
        tilted = picture.convert("L").rotate(7, expand=True, fillcolor=255).resize((431, 433))
        tilted.save(tmp_path / "tilted.png")
    assert read_code(str(tmp_path / "tilted.png")) == TEXT


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(Failure, match="not a picture"):
        read_code(str(tmp_path / "file"))


def test_a_picture_without_a_code(tmp_path: Path) -> None:
    Image.new("L", (200, 200), 255).save(tmp_path / "blank.png")
    with pytest.raises(Failure, match="0 QR codes"):
        read_code(str(tmp_path / "blank.png"))
