"""The signing service: an application's request, the signer's page, and the signatures."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloudcard_tools.eps import signatures
from cloudcard_tools.eps.canonical import Unreadable
from cloudcard_tools.simulate import pages
from cloudcard_tools.simulate.cards import CardRefused, Cards
from cloudcard_tools.simulate.cis2.places import Places
from cloudcard_tools.simulate.directory import Person
from cloudcard_tools.simulate.exchange import Request, Response, as_json, redirect
from cloudcard_tools.simulate.faults import Fault, Faults
from cloudcard_tools.simulate.once import Handed
from cloudcard_tools.simulate.signing_service.requests import Asked, RequestRefused, Requests

BASE = "/signing-service"
REQUEST = f"{BASE}/signaturerequest"
RESPONSE = f"{BASE}/signatureresponse/"  # the token follows
SIGN = f"{BASE}/sign"
TRACKER = "/prescriptions"
TIME = timedelta(minutes=10)  # for the signer, then for the application
MEDIA_TYPE = "text/plain"
MOST_KEPT = 1000
LONGEST_STATE = 500


@dataclass(slots=True)
class Job:
    """A request on its way: what is asked, then what was signed."""

    asked: Asked
    state: str
    signed: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Tracked:
    """A prescription that was signed, as the tracker lists it."""

    id: str
    description: str
    algorithm: str
    signer: str
    client: str
    time: datetime


@dataclass(slots=True)
class SigningService:
    """Takes requests, has them signed by who holds a card, and hands out signatures once."""

    at: Places
    requests: Requests
    cards: Cards
    _jobs: Handed[Job] = field(default_factory=lambda: Handed(TIME))
    _tracked: list[Tracked] = field(default_factory=list)

    def request(self, request: Request, now: datetime, faults: Faults) -> Response:
        """Take an application's request; tells the token, and where the signer goes."""
        kind = request.fields.get("content-type", "").partition(";")[0].strip().lower()
        if kind != MEDIA_TYPE:
            return _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the body is {MEDIA_TYPE}")
        state = _parameters(request).get("state", "")
        if len(state) > LONGEST_STATE:
            return _refusal(HTTPStatus.BAD_REQUEST, f"state has at most {LONGEST_STATE} characters")
        try:
            token = request.body.decode("ascii").strip()
            asked = self.requests.read(token, now + faults.clock)
        except UnicodeDecodeError:
            return _refusal(HTTPStatus.BAD_REQUEST, "the body is a JSON Web Token")
        except RequestRefused as error:
            return _refusal(HTTPStatus.UNAUTHORIZED, str(error))
        begun = now - TIME if Fault.EXPIRED in faults else now
        secret = self._jobs.hand(Job(asked, state), begun)
        where = f"{self.at.at(SIGN)}?token={secret}"
        return as_json({"token": secret, "redirectUri": where}, HTTPStatus.CREATED)

    def page(self, request: Request, now: datetime, faults: Faults) -> Response:
        """What the signer sees, or what a program signs (`as=json`); POST brings signatures."""
        told = request.parameters
        job = self._jobs.find(told.get("token", ""), now)
        if job is None or job.signed is not None:
            return pages.refusal(
                HTTPStatus.NOT_FOUND, "nothing waits to be signed here: begin again"
            )
        if request.method == "POST":
            return self._sign(told.get("token", ""), job, told.get("signed", ""), now, faults)
        if told.get("as") == "json":
            return as_json(_payloads(job.asked))
        return _page(told["token"], job.asked)

    def response(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """The signatures, once, to who has the token."""
        secret = request.path.removeprefix(RESPONSE)
        job = self._jobs.find(secret, now)
        if job is None:
            return _refusal(HTTPStatus.NOT_FOUND, "the token is unknown, used or too old")
        if job.signed is None:
            return _refusal(HTTPStatus.NOT_FOUND, "nothing is signed yet: ask again")
        self._jobs.take(secret, now)
        return as_json(job.signed)

    def tracker(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """A page that lists what was signed, the last first."""
        rows = [
            (
                each.id,
                each.description,
                each.algorithm,
                each.signer,
                each.client,
                each.time.isoformat(timespec="seconds"),
            )
            for each in reversed(self._tracked)
        ]
        headings = ("Id", "What", "Algorithm", "Signed by", "Asked by", "At")
        return pages.page("Prescriptions that were signed", pages.table(headings, rows))

    def _sign(self, secret: str, job: Job, told: str, now: datetime, faults: Faults) -> Response:
        asked = job.asked
        try:
            certificate, found = _signed(told, asked)
            der = certificate.public_bytes(Encoding.DER)
            signer = self._signer(der, asked, now + faults.clock, faults)
        except Unreadable as error:
            return pages.refusal(HTTPStatus.BAD_REQUEST, str(error))
        except CardRefused as error:
            return pages.refusal(HTTPStatus.FORBIDDEN, str(error))
        job.signed = {
            "signatures": [{"id": each, "signature": value} for each, value in found.items()],
            "certificate": base64.b64encode(der).decode("ascii"),
        }
        self._jobs.keep(secret, job, now)
        self._tracked += [
            Tracked(
                each.id, each.description, each.algorithm.name, signer.name, asked.client.id, now
            )
            for each in asked.batch.prepared
        ]
        del self._tracked[:-MOST_KEPT]
        back = {"token": secret, **({"state": job.state} if job.state else {})}
        return redirect(asked.client.redirect_uris[0], back)

    def _signer(self, der: bytes, asked: Asked, now: datetime, faults: Faults) -> Person:
        """The holder of the card that has signed. Raises CardRefused."""
        signer = self.cards.prescriber(der, now)
        if Fault.REVOKED in faults:
            raise CardRefused("the card is revoked, on demand")
        if signer.id != asked.subject:
            raise CardRefused("another person was asked to sign")
        return signer


def _signed(told: str, asked: Asked) -> tuple[x509.Certificate, Mapping[str, str]]:
    """The certificate and the signatures by their ids, one for each that is asked, as `cloudcard
    eps sign --json` prints them. Raises Unreadable.
    """
    try:
        found = json.loads(told)
        rows = {each["id"]: each["signature"] for each in found["signatures"]}
        read = {
            number: signatures.parse(base64.b64decode(each, validate=True))
            for number, each in rows.items()
        }
        certificate = x509.load_der_x509_certificate(
            base64.b64decode(found["certificate"], validate=True)
        )
    except Unreadable:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Unreadable("this is not what `cloudcard eps sign --json` prints") from None
    if len(rows) != len(asked.batch.prepared):
        raise Unreadable(f"there are {len(rows)} signatures for {len(asked.batch.prepared)}")
    for each in asked.batch.prepared:
        one = read.get(each.id)
        if one is None or one.signed_info != each.signed_info or one.certificate != certificate:
            raise Unreadable(f"there is no signature of {each.id} by that certificate")
        if not one.is_right():
            raise Unreadable(f"the signature of {each.id} is not of the certificate's key")
    return certificate, {each.id: rows[each.id] for each in asked.batch.prepared}


def _payloads(asked: Asked) -> Mapping[str, object]:
    """What is to be signed, as `cloudcard eps sign` reads it."""
    first, *_ = asked.batch.prepared
    return {
        "payloads": [
            {"id": each.id, "payload": base64.b64encode(each.signed_info).decode("ascii")}
            for each in asked.batch.prepared
        ],
        "algorithm": first.algorithm.name,
    }


def _page(secret: str, asked: Asked) -> Response:
    rows: Sequence[Sequence[str]] = [
        (each.id, each.description, each.algorithm.name) for each in asked.batch.prepared
    ]
    return pages.page(
        "Sign prescriptions",
        pages.paragraph(f"{asked.client.id} asks {asked.subject} to sign {len(rows)}."),
        pages.table(("Id", "What", "Algorithm"), rows),
        pages.link(f"{SIGN}?token={secret}&as=json", "Save what is to be signed"),
        pages.paragraph("Sign it with: cloudcard eps sign --card SERIAL --json FILE"),
        pages.form(
            SIGN, "Give the signatures", {"token": secret}, pages.text_field("signed", "Its output")
        ),
    )


def _parameters(request: Request) -> Mapping[str, str]:
    """Those of the query, of whichever method. Raises Malformed."""
    return Request("GET", request.path, request.query).parameters


def _refusal(status: HTTPStatus, text: str) -> Response:
    return as_json({"error": "invalid_request", "error_description": text}, status)
