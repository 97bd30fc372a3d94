"""Optional parts of the distribution, and what to do if one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cloudcard_tools.shared.failures import Failure


def install(extra: str) -> str:
    """The shell command that installs an extra."""
    return f"pip install 'cloudcard[{extra}]'"


@contextmanager
def brought_by(extra: str, command: str) -> Iterator[None]:
    """Import modules of an extra within the block. Raises Failure if they are not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Failure(
            f"{command} needs the Python module {error.name!r}: {install(extra)}"
        ) from None
