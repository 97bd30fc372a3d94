"""Revocation lists, answers of OCSP and certificates of authorities, for anybody: what is served is
signed, and who asks is not known (RFC 5280, 4.2.1.13 and 4.2.2.1; RFC 6960, appendix A; RFC 5019).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

import structlog
from cryptography.x509.ocsp import OCSPResponseStatus

from cloud_keystore.model.certificates import ANSWER_PATH, ISSUER_PATH, LIST_PATH
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import AuthorityNotFound, KeystoreError, TooManyCalls
from cloud_keystore.model.pki.revocation import ANSWER_LIFETIME, Document
from cloud_keystore.pki.revocation.documents import refusal as no_answer
from cloud_keystore.pki.revocation.publishing import Publishing
from cloud_keystore.pki.revocation.responding import Responding
from cloud_keystore.plain.messages import Request, Response, date, refusal

log = structlog.get_logger()

LIST_TYPE, ISSUER_TYPE = "application/pkix-crl", "application/pkix-cert"
ASKED_TYPE, ANSWER_TYPE = "application/ocsp-request", "application/ocsp-response"
RETRY_SECONDS = 5
# For which a cache need not ask: a list can be replaced at any time.
LIST_AGE = timedelta(minutes=1)
ISSUER_AGE = timedelta(days=1)
TRY_LATER = no_answer(OCSPResponseStatus.TRY_LATER)
NOT_KEPT: Mapping[str, str] = {"Cache-Control": "no-store"}

KEY_ID = "([0-9a-f]{40})"
LIST = re.compile(LIST_PATH.replace(".", r"\.").format(KEY_ID))
ISSUER = re.compile(ISSUER_PATH.replace(".", r"\.").format(KEY_ID))


@dataclass(slots=True)
class Status:
    """Answers requests. `admit` raises TooManyCalls for a place that has asked too often."""

    publishing: Publishing
    responding: Responding
    clock: Clock
    admit: Callable[[Hashable], None]
    _lists: dict[bytes, Document] = field(default_factory=dict, init=False)

    def answer(self, request: Request, place: Hashable) -> Response:
        """The response to one request; can block."""
        is_question = request.path == ANSWER_PATH or request.path.startswith(f"{ANSWER_PATH}/")
        allowed = ("GET", "POST") if is_question else ("GET", "HEAD")
        if request.method not in allowed:
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": ", ".join(allowed)})
        try:
            self.admit(place)
            return self._answered(request) if is_question else self._found(request)
        except AuthorityNotFound:
            return refusal(HTTPStatus.NOT_FOUND)
        except KeystoreError as error:
            is_flood = isinstance(error, TooManyCalls)
            if not is_flood:
                log.warning("nothing was told of certificates", error=type(error).__name__)
            if is_question:  # OCSP has a word of its own
                return Response(HTTPStatus.OK, TRY_LATER, ANSWER_TYPE, NOT_KEPT)
            status = HTTPStatus.TOO_MANY_REQUESTS if is_flood else HTTPStatus.SERVICE_UNAVAILABLE
            return refusal(status, {"Retry-After": str(RETRY_SECONDS), **NOT_KEPT})

    def _answered(self, request: Request) -> Response:
        """The answer of OCSP, by either method (RFC 6960, A.1)."""
        if request.method == "POST":
            if request.fields.get("content-type", "").lower() != ASKED_TYPE:
                return refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
            answer = self.responding.respond(request.body)
            return Response(HTTPStatus.OK, answer.document, ANSWER_TYPE, NOT_KEPT)
        answer = self.responding.respond(_in_path(request.path))
        if answer.good_until is None:
            return Response(HTTPStatus.OK, answer.document, ANSWER_TYPE, NOT_KEPT)
        fields = _kept(
            _tag(answer.document),
            answer.good_until - ANSWER_LIFETIME,
            answer.good_until,
            answer.good_until - self.clock(),
        )
        return Response(HTTPStatus.OK, answer.document, ANSWER_TYPE, fields)

    def _found(self, request: Request) -> Response:
        """A list, or the certificate of an authority. Raises AuthorityNotFound."""
        if (match := LIST.fullmatch(request.path)) is not None:
            found = self._list(bytes.fromhex(match[1]))
            age = min(LIST_AGE, found.next_time - self.clock())
            fields = _kept(f'"{found.number}"', found.this_time, found.next_time, age)
            listed = Response(HTTPStatus.OK, found.document, LIST_TYPE, fields)
            return _unless_known(request, listed)
        if (match := ISSUER.fullmatch(request.path)) is not None:
            der = self.publishing.certificate(bytes.fromhex(match[1]))
            fields = {"ETag": _tag(der), "Cache-Control": f"public, max-age={_seconds(ISSUER_AGE)}"}
            return _unless_known(request, Response(HTTPStatus.OK, der, ISSUER_TYPE, fields))
        return refusal(HTTPStatus.NOT_FOUND)

    def _list(self, issuer: bytes) -> Document:
        """The newest list of an authority, of which only a new one crosses the border."""
        known = self._lists.get(issuer)
        found = self.publishing.document(issuer, 0 if known is None else known.number)
        if known is not None and known.number == found.number:
            return known
        self._lists[issuer] = found
        return found


def _in_path(path: str) -> bytes:
    """The request in the path of a GET; empty, which is none, if there are other characters than
    those of base64.
    """
    coded = unquote_to_bytes(path.removeprefix(ANSWER_PATH).removeprefix("/"))
    try:
        return base64.b64decode(coded, validate=True)
    except binascii.Error:
        return b""


def _kept(tag: str, since: datetime, until: datetime, age: timedelta) -> Mapping[str, str]:
    """Header fields for caches (RFC 5019, 5)."""
    return {
        "ETag": tag,
        "Last-Modified": date(since),
        "Expires": date(until),
        "Cache-Control": f"public, max-age={_seconds(age)}, no-transform, must-revalidate",
    }


def _unless_known(request: Request, response: Response) -> Response:
    """The response without what the client says that it has already."""
    tag = response.fields["ETag"]
    told = request.fields.get("if-none-match", "").split(",")
    known = {each.strip().removeprefix("W/") for each in told}
    if tag in known or "*" in known:
        return replace(response, status=HTTPStatus.NOT_MODIFIED, body=b"")
    return response


def _tag(document: bytes) -> str:
    return f'"{sha256(document).hexdigest()[:32]}"'


def _seconds(age: timedelta) -> int:
    return max(0, int(age.total_seconds()))
