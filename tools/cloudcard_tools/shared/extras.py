"""Parts of the distribution that are installed on request, and what to do where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cloudcard_tools.shared.failures import Failure


def install(extra: str) -> str:
    """What brings an extra, for a shell."""
    return f"pip install 'cloudcard[{extra}]'"


@contextmanager
def brought_by(extra: str, command: str) -> Iterator[None]:
    """Import within the block what an extra brings. Raises Failure where that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Failure(
            f"{command} needs the Python module {error.name!r}: {install(extra)}"
        ) from None
