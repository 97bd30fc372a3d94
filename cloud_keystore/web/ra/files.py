"""Files that pages give: lists as CSV."""

from __future__ import annotations

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from starlette.responses import Response, StreamingResponse

from cloud_keystore.model.sheets.cells import guarded

TYPE = "text/csv; charset=utf-8"
PORTION = 500  # lines that are written together


def csv_file(name: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> Response:
    """A list as a file of this name, in which no cell is a formula."""
    return Response(b"".join(_parts(heads, lines)), headers=_fields(name), media_type=TYPE)


def csv_stream(name: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> Response:
    """The same, sent while the lines are made: nothing holds them all."""
    return StreamingResponse(_parts(heads, lines), headers=_fields(name), media_type=TYPE)


def _parts(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[bytes]:
    # The mark tells spreadsheets that it is UTF-8.
    yield BOM_UTF8
    rows = chain((heads,), (list(map(guarded, line)) for line in lines))
    while some := list(islice(rows, PORTION)):
        written = io.StringIO()
        csv.writer(written).writerows(some)
        yield written.getvalue().encode()


def _fields(name: str) -> Mapping[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}.csv"'}
