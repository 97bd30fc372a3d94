"""The files that `trace import` and `trace export` write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

import click

from card_os.trace.words import TraceError
from cloudcard_tools.shared.failures import Failure, must_be_new

INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT = click.Path(dir_okay=False, path_type=Path)


@contextmanager
def kept(output: Path) -> Iterator[TextIOWrapper]:
    """Open a new file, which is complete or does not exist afterwards. Raises Failure if it exists,
    or for a TraceError in the block.
    """
    must_be_new(output)
    draft = output.with_name(output.name + ".new")
    try:
        with draft.open("wb") as raw:
            file = TextIOWrapper(raw, encoding="ascii", newline="\n")
            yield file
            file.flush()
            file.detach()
        draft.replace(output)
    except TraceError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"{error.filename or output}: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
