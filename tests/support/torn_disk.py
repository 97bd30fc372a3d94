"""A disk that fails: stands for `os` within `private_files.writing`, and does real work."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path

WATCHED = ("open", "write", "fsync", "close", "replace", "unlink")


class PowerCut(BaseException):
    """The computer stops here: nothing of the process goes on."""


class Fault(Enum):
    """What happens at the operation whose turn it is."""

    CUT_BEFORE = auto()
    CUT_AFTER = auto()
    CUT_AFTER_UNWRITTEN = auto()  # and what was not synchronised is lost
    CUT_AFTER_UNWRITTEN_CONTENTS = auto()  # but a new name was written
    ERROR_BEFORE = auto()  # the disk is full, say; the process goes on
    ERROR_AFTER = auto()


LOSSES = (Fault.CUT_AFTER_UNWRITTEN, Fault.CUT_AFTER_UNWRITTEN_CONTENTS)
CUTS = (Fault.CUT_BEFORE, Fault.CUT_AFTER, *LOSSES)
ERRORS = (Fault.ERROR_BEFORE, Fault.ERROR_AFTER)


class Disk:
    """Counts the operations on files, and fails at the one with number `fails_at`."""

    def __init__(self, fails_at: int = 0, fault: Fault = Fault.CUT_BEFORE) -> None:
        self.count = 0
        self.fails_at = fails_at
        self.fault = fault
        self._paths: dict[int, Path] = {}
        self._unwritten: set[Path] = set()
        self._unwritten_name: tuple[Path, bytes | None] | None = None

    def __getattr__(self, name: str) -> object:
        real = getattr(os, name)
        return self._watched(name, real) if name in WATCHED else real

    @property
    def failed(self) -> bool:
        return 0 < self.fails_at <= self.count

    def _watched(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def operation(*arguments: object) -> object:
            self.count += 1
            ours = self.count == self.fails_at
            if ours and self.fault is Fault.CUT_BEFORE:
                raise PowerCut
            if ours and self.fault is Fault.ERROR_BEFORE:
                raise OSError(errno.ENOSPC, "no space left")
            try:
                result = self._note(name, arguments, lambda: real(*arguments))
            except FileNotFoundError:  # a fault all the same, if it is its turn
                if not ours:
                    raise
                result = None
            if ours and self.fault in LOSSES:
                self._lose()
            if ours and self.fault in CUTS:
                raise PowerCut
            if ours and self.fault is Fault.ERROR_AFTER:
                raise OSError(errno.EIO, "input/output error")
            return result

        return operation

    def _note(self, name: str, arguments: tuple[object, ...], real: Callable[[], object]) -> object:
        """Do it, and remember what a power cut would lose of it."""
        if name == "replace":
            source, target = Path(str(arguments[0])), Path(str(arguments[1]))
            before = target.read_bytes() if target.exists() else None
            result = real()
            self._unwritten_name = target, before
            if source in self._unwritten:
                self._unwritten = (self._unwritten - {source}) | {target}
            return result
        result = real()
        if name == "open":
            assert isinstance(result, int)
            self._paths[result] = Path(str(arguments[0]))
        elif name == "write":
            self._unwritten.add(self._paths[int(str(arguments[0]))])
        elif name == "fsync":
            path = self._paths[int(str(arguments[0]))]
            self._unwritten.discard(path)
            if path.is_dir():
                self._unwritten_name = None
        return result

    def _lose(self) -> None:
        for path in self._unwritten:
            os.truncate(path, path.stat().st_size // 2)
        if self._unwritten_name is not None and self.fault is Fault.CUT_AFTER_UNWRITTEN:
            target, before = self._unwritten_name
            if before is None:
                target.unlink()
            else:
                target.write_bytes(before)
