"""Copies into the pages what others have made: the stylesheet of nhsuk-frontend, without what is
the NHS's own (its font, its blue, its pictures), and jsQR, which reads QR codes. Run by `make
vendor`; CI compares what it wrote with SHA256SUMS.
"""

from __future__ import annotations

import base64
import re
import sys
import tarfile
from collections.abc import Mapping
from hashlib import sha256, sha512
from io import BytesIO
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "cloud_keystore/web/assets/vendor"
SUMS = "SHA256SUMS"
INTEGRITY: Mapping[str, str] = {  # of packages, as npm states it
    "nhsuk-frontend-10.6.1.tgz": (
        "PZorqQZjZx/A26yJoskCL9z0ib6AtkAyF0o4K/RHr8zRrJyXrUOCnMbjy0VNXsGO4tfTNMwqlkwATKs4a0xayw=="
    ),
    "jsqr-1.4.0.tgz": (
        "dxLob7q65Xg2DvstYkRpkYtmKm2sPJ9oFhrhmudT1dZvNFFTlroai3AWSpLey/w5vMcLBXRgOJsbXpdN9HzU/A=="
    ),
}
WITHIN = "package/dist/nhsuk"
STYLE = "nhsuk-frontend.min.css"
PICTURES = ("arrow-down", "arrow-up-down", "arrow-up", "cross")  # that the stylesheet names
# The NHS's blue and its shades; each becomes a slate of the same lightness.
COLOURS: Mapping[str, str] = {
    "#005eb8": "#2f536b",
    "#0055a6": "#2a4b60",
    "#004b93": "#254355",
    "#004281": "#213c4c",
    "#003d78": "#1f3848",
    "#003087": "#1c3341",
    "#002f5c": "#162934",
    "#337ec6": "#5c7d93",
    "#c7dcef": "#cbd9e2",
    "#ccdff1": "#d0dde5",
    "#d9e7f4": "#dde7ed",
}
FONT = re.compile(r"@font-face\{[^}]*\}")
FAMILY = "Frutiger W01,"
PICTURE = "url(/assets/images/"
MAP = re.compile(r"\n?/\*# sourceMappingURL=[^*]*\*/")


class Unexpected(Exception):
    """The package is not the one that this program knows."""


def style(css: str) -> str:
    """The stylesheet in neutral colours, which asks no other computer for anything."""
    css = MAP.sub("", FONT.sub("", css)).replace(FAMILY, "").replace(PICTURE, "url(")
    for blue, slate in COLOURS.items():
        css = css.replace(blue, slate)
    if "frutiger" in css.lower() or "http" in css.replace("http://www.w3.org/2000/svg", ""):
        raise Unexpected("the stylesheet still names a font or an address of others")
    return css


def unpacked(folder: Path) -> dict[str, bytes]:
    """The files that pages need, by name. Raises Unexpected for packages of another content."""
    raw: dict[str, bytes] = {}
    for package, integrity in INTEGRITY.items():
        content = (folder / package).read_bytes()
        if base64.b64encode(sha512(content).digest()).decode() != integrity:
            raise Unexpected(f"{package} is not the one that is known")
        with tarfile.open(fileobj=BytesIO(content)) as tar:
            for member in tar:
                if (file := tar.extractfile(member)) is not None:
                    raw[member.name] = file.read()
    return {
        "nhsuk-frontend.css": style(raw[f"{WITHIN}/{STYLE}"].decode()).encode(),
        "jsQR.js": raw["package/dist/jsQR.js"],
        "LICENCE-jsQR.txt": raw["package/LICENSE"],
        **{
            f"nhsuk-icon-{each}.svg": raw[f"{WITHIN}/assets/images/nhsuk-icon-{each}.svg"]
            for each in PICTURES
        },
    }


def sums(files: Mapping[str, bytes]) -> str:
    """What SHA256SUMS says of files."""
    return "".join(f"{sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))


def main(folder: str) -> None:
    """Write the files, from a folder with the packages."""
    files = unpacked(Path(folder))
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)
    (FOLDER / SUMS).write_text(sums(files))


if __name__ == "__main__":
    main(sys.argv[1])
