"""EST for workstations (RFC 7030): an enrolment token, as the password of HTTP, becomes a
certificate, and a certificate the next one for the same key.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from cloud_keystore.border.presented import PRESENTED, Presented
from cloud_keystore.model.errors import (
    IdentityRejected,
    InvalidInput,
    KeystoreError,
    TokenRejected,
    TooManyCalls,
)
from cloud_keystore.model.people import Role
from cloud_keystore.model.pki.est import WELL_KNOWN
from cloud_keystore.people.callers import Callers
from cloud_keystore.people.enrolment import Enrolment
from cloud_keystore.people.renewing import Renewing
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.plain.messages import Request, Response, refusal

log = structlog.get_logger()

REQUEST_TYPE, ATTRIBUTES_TYPE = "application/pkcs10", "application/csrattrs"
ANSWER_TYPE = "application/pkcs7-mime; smime-type=certs-only"
CODED: Mapping[str, str] = MappingProxyType(
    {"Content-Transfer-Encoding": "base64", "Cache-Control": "no-store"}
)
CHALLENGE: Mapping[str, str] = MappingProxyType(
    {"WWW-Authenticate": 'Basic realm="enrolment token"'}
)
RETRY_SECONDS = 30
TOKEN_PREFIX, TOKEN_BYTES, FINGERPRINT_BYTES = "cc1", 48, 32
# CsrAttrs (RFC 7030, 4.5.2): keys are of P-256, and requests signed by ECDSA with SHA-256.
ATTRIBUTES = bytes.fromhex("3021301506072a8648ce3d0201310a06082a8648ce3d03010706082a8648ce3d040302")


@dataclass(frozen=True, slots=True)
class Est:
    """Answers requests. `admit` raises TooManyCalls for a place that has asked too often."""

    enrolment: Enrolment
    renewing: Renewing
    callers: Callers
    announcing: Announcing
    admit: Callable[[Hashable], None]

    def answer(self, request: Request, place: Hashable) -> Response:
        """The response to one request; can block."""
        method, operation = ROUTES.get(request.path, ("", None))
        if operation is None:
            return refusal(HTTPStatus.NOT_FOUND)
        if request.method != method:
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": method})
        try:
            self.admit(place)
            return operation(self, request)
        except TokenRejected as error:
            return _told(HTTPStatus.UNAUTHORIZED, error, CHALLENGE)
        except IdentityRejected as error:
            return _told(HTTPStatus.FORBIDDEN, error)
        except InvalidInput as error:
            return _told(HTTPStatus.BAD_REQUEST, error)
        except TooManyCalls as error:
            seconds = {"Retry-After": str(RETRY_SECONDS)}
            return _told(HTTPStatus.TOO_MANY_REQUESTS, error, seconds)
        except KeystoreError as error:
            log.warning("a workstation got no certificate", error=type(error).__name__)
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": str(RETRY_SECONDS)})

    def authorities(self, _: Request) -> Response:
        """The authorities of clients and service (RFC 7030, 4.1)."""
        return _certificates(*self.announcing.terms().transports)

    def attributes(self, _: Request) -> Response:
        """What a request is to be like (RFC 7030, 4.5)."""
        return Response(HTTPStatus.OK, base64.encodebytes(ATTRIBUTES), ATTRIBUTES_TYPE, CODED)

    def enrol(self, request: Request) -> Response:
        """A token becomes a certificate (RFC 7030, 4.2.1)."""
        secret, csr = _secret(request), _csr(request)
        said = request.fields.get("user-agent", "")
        _, certificate = self.enrolment.enrol(
            secret, csr, "", role=Role.WORKSTATION, said=said, is_named=True
        )
        return _certificates(certificate)

    def renew(self, request: Request) -> Response:
        """The certificate of TLS becomes the next one, for the same key (RFC 7030, 4.2.2)."""
        if not request.certificate:
            raise IdentityRejected("come with the certificate that is to be renewed")
        csr = _csr(request)
        PRESENTED.set(Presented(request.certificate, Role.WORKSTATION))
        try:
            identity = self.callers.identify(request.certificate, Role.WORKSTATION)
            return _certificates(self.renewing.renew_same(identity, csr))
        finally:
            PRESENTED.set(None)


ROUTES: Mapping[str, tuple[str, Callable[[Est, Request], Response]]] = MappingProxyType(
    {
        f"{WELL_KNOWN}/cacerts": ("GET", Est.authorities),
        f"{WELL_KNOWN}/csrattrs": ("GET", Est.attributes),
        f"{WELL_KNOWN}/simpleenroll": ("POST", Est.enrol),
        f"{WELL_KNOWN}/simplereenroll": ("POST", Est.renew),
    }
)


def _secret(request: Request) -> bytes:
    """The secret of the token, which is the password; the name does not count. Raises
    TokenRejected.
    """
    scheme, _, coded = request.fields.get("authorization", "").partition(" ")
    try:
        both = base64.b64decode(coded, validate=True).decode("ascii")
        prefix, _, rest = both.partition(":")[2].strip().partition(".")
        body = rest.partition("@")[0]
        raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except ValueError:
        prefix, raw = "", b""
    if scheme.lower() != "basic" or prefix != TOKEN_PREFIX or len(raw) != TOKEN_BYTES:
        raise TokenRejected("give the enrolment token, cc1.…, as the password of HTTP Basic")
    return raw[FINGERPRINT_BYTES:]


def _csr(request: Request) -> bytes:
    """The request for a certificate, DER; raises InvalidInput."""
    kind = request.fields.get("content-type", "").partition(";")[0].strip().lower()
    if kind != REQUEST_TYPE:
        raise InvalidInput(f"the request is not of the type {REQUEST_TYPE}")
    try:
        return base64.b64decode(b"".join(request.body.split()), validate=True)
    except ValueError:
        raise InvalidInput("the request is not in base64") from None


def _certificates(*ders: bytes) -> Response:
    found = [x509.load_der_x509_certificate(each) for each in ders]
    body = base64.encodebytes(pkcs7.serialize_certificates(found, Encoding.DER))
    return Response(HTTPStatus.OK, body, ANSWER_TYPE, CODED)


def _told(
    status: HTTPStatus, error: KeystoreError, fields: Mapping[str, str] = MappingProxyType({})
) -> Response:
    return Response(status, f"{error}\n".encode(), "text/plain; charset=utf-8", fields)
