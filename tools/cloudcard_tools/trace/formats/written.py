"""The files that `trace import` and `trace export` write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

import click

from card_os.trace.words import TraceError
from cloudcard_tools import new_files
from cloudcard_tools.shared.failures import Failure

INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)


@contextmanager
def kept(output: Path) -> Iterator[TextIOWrapper]:
    """Open a new file, which is complete or does not exist afterwards. Raises FileExists, OSError,
    and Failure for a TraceError in the block.
    """
    try:
        with new_files.opened(output) as file:
            yield file
    except TraceError as error:
        raise Failure(str(error)) from None
