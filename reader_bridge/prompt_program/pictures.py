"""QR codes as pictures whose modules are whole pixels, with their quiet zone."""

from __future__ import annotations

from collections.abc import Sequence

QUIET = 4  # modules on each side (ISO/IEC 18004, 9.1)
DARK, LIGHT = b"\0", b"\xff"  # in every theme: scanners want dark on light


def module_pixels(modules: int, room: int) -> int:
    """The largest whole number of pixels a module so that the code fits; at least 2."""
    return max(2, room // (modules + 2 * QUIET))


def rgb(rows: Sequence[str], scale: int) -> tuple[int, bytes]:
    """The side of the picture in pixels, and its pixels of three bytes each."""
    width = len(rows) + 2 * QUIET
    blank = LIGHT * (3 * scale * width)
    drawn = [blank * (scale * QUIET)]
    for row in rows:
        line = "0" * QUIET + row + "0" * QUIET
        drawn.append(
            b"".join((DARK if module == "1" else LIGHT) * (3 * scale) for module in line) * scale
        )
    drawn.append(blank * (scale * QUIET))
    return scale * width, b"".join(drawn)
