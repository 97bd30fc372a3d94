"""Reads forms that have a file, whose bytes have been bounded before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from cloud_keystore.http.bodies import LARGEST_BODY
from cloud_keystore.web.gate import Refused

MULTIPART = "multipart/form-data"
MOST_FILES = 1


async def read(
    fields: Headers, body: bytes, most_fields: int
) -> tuple[Mapping[str, str], Mapping[str, bytes]]:
    """The fields of such a form and its files, by their names; raises Refused for what is none.
    What a file says of itself, its name and its kind, counts for nothing.
    """
    # Browsers name none, and some take long to decode.
    if "charset" in fields["content-type"].lower():
        raise Refused(HTTPStatus.BAD_REQUEST)
    parser = MultiPartParser(
        fields,
        _once(body),
        max_files=MOST_FILES,
        max_fields=most_fields,
        max_part_size=LARGEST_BODY,
    )
    try:
        form = await parser.parse()
    except MultiPartException:
        raise Refused(HTTPStatus.BAD_REQUEST) from None
    said: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files[name] = await value.read()
        else:
            said[name] = value
    await form.close()
    return said, files


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
