"""Asks witnesses for cosignatures on a checkpoint, by the protocol tlog-witness of C2SP."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TypeAlias
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from cloud_keystore.audit import cosignatures
from cloud_keystore.audit.cosignatures import Witness
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.model.errors import InvalidInput
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.reaching import proxy

Prove: TypeAlias = Callable[[int, int], Sequence[bytes]]  # that one size begins with another
SECONDS = 30.0
MOST_ANSWER = 64 * 1024
SIZE = "text/x.tlog.size"  # media type of the size that a witness has seen
REFUSALS = {
    HTTPStatus.FORBIDDEN: "does not know this journal's key",
    HTTPStatus.NOT_FOUND: "does not know this journal",
    HTTPStatus.CONFLICT: "has seen another journal of this size: history was rewritten",
    HTTPStatus.UNPROCESSABLE_ENTITY: "has seen another history than the keystore shows now",
}


def cosign(note: bytes, head: Checkpoint, url: str, witness: Witness, prove: Prove) -> bytes:
    """The signature lines by which a witness cosigns a checkpoint.

    Raises Failure if the witness does not answer or refuses; what it says tells whether the
    journal's history was changed since it saw the journal last.
    """
    old = 0
    for _ in range(2):
        # A witness says which size it has seen if it is not the one that is asked with.
        status, kind, body = _post(url, witness, _request(old, note, head, prove))
        if status != HTTPStatus.CONFLICT or kind != SIZE:
            break
        old = _seen(body, witness)
        if old > head.size:
            raise Failure(
                f"{witness.name} has seen {old} entries, and the keystore shows {head.size}: "
                "entries were taken out"
            )
    if status != HTTPStatus.OK:
        reason = REFUSALS.get(HTTPStatus(status), f"refuses with status {status}")
        raise Failure(f"{witness.name} {reason}")
    try:
        cosignatures.cosigned(note + body, witness)
    except InvalidInput:
        raise Failure(f"what {witness.name} answers is not its cosignature") from None
    return body


def _request(old: int, note: bytes, head: Checkpoint, prove: Prove) -> bytes:
    """The body of add-checkpoint."""
    proof = prove(old, head.size) if 0 < old < head.size else ()
    hashes = "".join(f"{base64.b64encode(each).decode()}\n" for each in proof)
    return f"old {old}\n{hashes}\n".encode() + note


def _seen(body: bytes, witness: Witness) -> int:
    try:
        return int(body)
    except ValueError:
        raise Failure(f"what {witness.name} answers is no size of a journal") from None


class _NoRedirect(HTTPRedirectHandler):
    """A witness is where its URL says."""

    def redirect_request(self, *_: object) -> None:
        return None


def _post(url: str, witness: Witness, body: bytes) -> tuple[int, str, bytes]:
    """Status, media type and body of a witness's answer."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        raise Failure(f"{url} is not where a witness is: give the URL before /add-checkpoint")
    by = proxy(parts.hostname)
    opener = build_opener(ProxyHandler({} if by is None else {parts.scheme: by}), _NoRedirect)
    request = Request(f"{url.rstrip('/')}/add-checkpoint", data=body, method="POST")  # noqa: S310
    request.add_header("Content-Type", "text/plain; charset=utf-8")
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read(MOST_ANSWER)
    except HTTPError as refused:
        with refused:
            return refused.code, refused.headers.get_content_type(), refused.read(MOST_ANSWER)
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise Failure(f"{witness.name} cannot be reached at {url}: {reason}") from None
