"""The page at the port of cards: it says that none was shown, or leads the browser back."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cloud_keystore.model.errors import TokenRejected
from cloud_keystore.web.gate import FIELDS, Admit, Refused
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.proofs import ProofRejected, decoded
from cloud_keystore.web.ra.visiting import AREA, CARD, CARD_CODE

log = structlog.get_logger()

CERTIFICATE = "cloudcard.certificate"  # in the scope of a request: DER, proved in TLS; or empty
NONE_SHOWN = (
    "your browser has shown no card: put it into the reader, see that the browser knows it, and "
    "begin again. A browser that does not ask any more does so after it was closed"
)

# The page has no files: each connection would use the card again.
STYLE = """body{margin:0;font:1.2em/1.5 Arial,sans-serif;color:#212b32;background:#f0f4f5}
header{padding:1rem 1.5rem;background:#2f536b;color:#fff;font-weight:bold}
main{max-width:40rem;padding:1.5rem}
h1{margin-top:0}
button{padding:.7rem 1.2rem;border:0;border-radius:4px;background:#007f3b;color:#fff;font:inherit;
font-weight:bold}
button:focus,a:focus{outline:4px solid #ffeb3b}
.wrong{padding:.5rem 1rem;border:4px solid #d5281b}"""


def fields(back: str) -> Mapping[str, str]:
    """What every response has. The form goes to the origin `back` alone, and says from where."""
    style = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
    policy = (
        "default-src 'none'",
        f"style-src 'sha256-{style}'",
        f"form-action {back}",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    said = {"Content-Security-Policy": "; ".join(policy), "Referrer-Policy": "origin"}
    return {**FIELDS, **said, "Connection": "close"}


@dataclass(frozen=True, slots=True)
class ShownCards:
    """Answers browsers that come to show a card. What a request says of itself counts for nothing:
    the certificate is that of its connection.
    """

    pages: Pages
    make_code: Callable[[bytes, bytes], str]
    back: str  # the origin of the pages where operators log in
    admit: Admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; each asks for the card again."""
        if scope["path"] != "/":
            raise Refused(HTTPStatus.NOT_FOUND)
        if scope["method"] != "GET":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED)
        request, certificate = Request(scope), bytes(scope.get(CERTIFICATE, b""))
        if not certificate:
            await self._page(request, wrong=NONE_SHOWN)(scope, receive, send)
            return
        self.admit("enrolment", scope["cloudcard.place"])
        try:
            browser = decoded(request.query_params.get("for", ""))
            code = await run_in_threadpool(self.make_code, certificate, browser)
        except (TokenRejected, ProofRejected) as error:
            log.info("a log-in by card was refused", reason=str(error))
            wrong = str(error) if isinstance(error, TokenRejected) else "begin at the log-in page"
            await self._page(request, wrong=wrong)(scope, receive, send)
            return
        await self._page(request, code=code)(scope, receive, send)

    def _page(self, request: Request, *, code: str = "", wrong: str = "") -> Response:
        status = HTTPStatus.FORBIDDEN if wrong else HTTPStatus.OK
        return self.pages.page(
            "ra/card",
            status,
            code=code,
            wrong=wrong,
            wanted=AREA.own_path(request.query_params.get("next", "")),
            style=STYLE,
            to=f"{self.back}{CARD_CODE}",
            again=f"{self.back}{CARD}",
        )
