"""The readers that pcscd is configured to have (reader.conf(5))."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

KEYS = ("FRIENDLYNAME", "DEVICENAME", "LIBPATH", "CHANNELID")
LINE = re.compile(rf"^\s*({'|'.join(KEYS)})\s+(.+?)\s*$", re.MULTILINE)


class Reader(NamedTuple):
    """A reader of the configuration. What its file does not say is empty."""

    name: str = ""
    device: str = ""
    library: str = ""
    channel: str = ""


def readers(folder: Path) -> list[Reader]:
    """The readers in all files of the folder, none if it cannot be read."""
    try:
        files = sorted(each for each in folder.iterdir() if each.is_file())
        texts = [each.read_text("utf-8", "replace") for each in files]
    except OSError:
        return []
    return [reader for text in texts for reader in _read(text)]


def _read(text: str) -> list[Reader]:
    found: list[dict[str, str]] = []
    for key, value in LINE.findall(text):
        if not found or key in found[-1]:  # a reader has each key once
            found.append({})
        found[-1][key] = value.strip('"')
    return [Reader(*(each.get(key, "") for key in KEYS)) for each in found]


def of_library(folder: Path, word: str) -> list[Reader]:
    """The readers whose library has this word in its name."""
    return [each for each in readers(folder) if word in Path(each.library).name]
