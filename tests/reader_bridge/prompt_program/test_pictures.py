"""QR codes are drawn so that phones can scan them."""

from __future__ import annotations

import pytest
import zxingcpp
from PIL import Image

from reader_bridge.prompt_program import pictures
from reader_bridge.prompts.json_lines import drawn
from support.prompts import BOTH, QR

ROWS = tuple(str(row) for row in drawn(BOTH)["qr_modules"])


@pytest.mark.parametrize("scale", [2, 5, 10])
def test_a_code_is_scanned(scale: int) -> None:
    side, pixels = pictures.rgb(ROWS, scale)
    assert side == scale * (len(ROWS) + 8)
    picture = Image.frombytes("RGB", (side, side), pixels)
    assert zxingcpp.read_barcodes(picture)[0].text == QR


def test_the_quiet_zone_is_four_modules_on_each_side() -> None:
    side, pixels = pictures.rgb(ROWS, 3)
    ink = Image.eval(Image.frombytes("RGB", (side, side), pixels).convert("L"), lambda x: 255 - x)
    assert ink.getbbox() == (12, 12, side - 12, side - 12)


def test_modules_are_whole_pixels() -> None:
    assert pictures.module_pixels(29, 190) == 5
    assert pictures.module_pixels(29, 150) == 4
    assert pictures.module_pixels(177, 150) == 2
