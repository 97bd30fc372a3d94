"""The card images of traces: files beside the traces, named by their digest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from card_os.piv import image_file
from card_os.piv.image import CardImage
from card_os.trace.words import TraceError

FOLDER = "cards"
LARGEST = 4 * 1024 * 1024  # bytes


def save(image: CardImage, folder: Path) -> bytes:
    """Write an image where the traces in `folder` find it. Returns its digest."""
    encoded = image_file.encode(image)
    digest = image_file.digest(encoded)
    path = folder / FOLDER / f"{digest.hex()}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_bytes(encoded)
        draft.replace(path)
    return digest


def find(digest: bytes, trace: Path, folder: Path | None = None) -> CardImage:
    """The image that a trace names. Raises TraceError if it is missing or has changed."""
    name = f"{digest.hex()}.json"
    for place in _places(trace, folder):
        path = place / name
        if path.is_file():
            return _read(path, digest)
    looked = ", ".join(str(place) for place in _places(trace, folder))
    raise TraceError(f"the card image {name} is not in {looked}: commit it with the trace")


def _places(trace: Path, folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
    yield trace.parent / FOLDER
    yield trace.parent.parent / FOLDER


def _read(path: Path, digest: bytes) -> CardImage:
    if path.stat().st_size > LARGEST:
        raise TraceError(f"{path} is too large for a card image")
    encoded = path.read_bytes()
    if image_file.digest(encoded) != digest:
        raise TraceError(f"{path} has changed since it was named by its digest")
    return image_file.decode(encoded)
