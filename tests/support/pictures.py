"""Pictures of pages for the guides, which `make pictures` renews: tests take them on their way."""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from support.pages import PHONE

WANTED = "CLOUDCARD_PICTURES"  # the folder of the pictures; without it, none is kept
COLOURS = 32


def take(page: Page, name: str) -> None:
    """Take a picture of what a phone shows of a page, if pictures are wanted."""
    folder = os.environ.get(WANTED)
    if not folder:
        return
    before = page.viewport_size
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    taken = io.BytesIO(page.screenshot(animations="disabled", caret="hide"))
    if before is not None:
        page.set_viewport_size(before)
    few = Image.open(taken).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(Path(folder) / f"{name}.png", optimize=True)
