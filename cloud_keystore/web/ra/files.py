"""Files that pages give: lists as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from starlette.responses import Response

from cloud_keystore.model.sheets.cells import guarded


def csv_file(name: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> Response:
    """A list as a file of this name, in which no cell is a formula."""
    written = io.StringIO()
    out = csv.writer(written)
    out.writerow(heads)
    for line in lines:
        out.writerow(map(guarded, line))
    # The mark tells spreadsheets that it is UTF-8.
    raw = written.getvalue().encode("utf-8-sig")
    fields = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(raw, headers=fields, media_type="text/csv; charset=utf-8")
