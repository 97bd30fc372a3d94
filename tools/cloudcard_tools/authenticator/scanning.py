"""The work of the phone's camera: reading the text of a QR code from a picture."""

from __future__ import annotations

from pathlib import Path

import zxingcpp
from PIL import Image, UnidentifiedImageError

from cloudcard_tools.shared.failures import Failure

LARGEST_PICTURE = 40_000_000  # pixels


def read_code(source: str) -> str:
    """The text of a code: `source` itself, or the code in the picture file of that name."""
    path = Path(source)
    if not path.is_file():
        return source.strip()
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > LARGEST_PICTURE:
                raise Failure(f"{path} is too large: crop the picture to the code")
            found = zxingcpp.read_barcodes(
                picture.convert("L"), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
            )
    except (UnidentifiedImageError, OSError) as error:
        raise Failure(f"{path} is not a picture: {error}") from None
    if len(found) != 1:
        raise Failure(f"{path} shows {len(found)} QR codes: take a picture of just one")
    text: str = found[0].text
    return text
