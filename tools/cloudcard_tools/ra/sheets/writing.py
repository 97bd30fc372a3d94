"""Writes CSV files that spreadsheets open as they are, and that are imported again."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from cloud_keystore.model.sheets import cells
from cloudcard_tools import new_files
from private_files.rules import OWNER_ONLY

BYTE_ORDER_MARK = "\ufeff"  # by which spreadsheets know that a file is UTF-8


class Sheet:
    """A CSV file that is being written, row by row."""

    def __init__(self, file: TextIOWrapper, delimiter: str, headers: Iterable[str]) -> None:
        self._file = file
        # All cells have quotes: a cell ends where we say, whatever delimiter a program expects.
        self._writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        file.write(BYTE_ORDER_MARK)
        self.add(headers)

    def add(self, row: Iterable[str]) -> None:
        """Add a row. No spreadsheet takes its cells for formulas."""
        self._writer.writerow(map(cells.guarded, row))

    def flush(self) -> None:
        """Let others see what is written so far."""
        self._file.flush()


@contextmanager
def whole(path: Path, delimiter: str, headers: Iterable[str]) -> Iterator[Sheet]:
    """A new private file, which gets its name when it is complete. Raises FileExists, OSError."""
    with new_files.opened(path, OWNER_ONLY) as file:
        yield Sheet(file, delimiter, headers)


@contextmanager
def growing(path: Path, delimiter: str, headers: Iterable[str]) -> Iterator[Sheet]:
    """A new private file, which stays as far as it was written. Raises FileExists, OSError."""
    with new_files.growing(path, OWNER_ONLY) as file:
        yield Sheet(file, delimiter, headers)
