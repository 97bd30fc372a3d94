"""Proofs of a browser that is a device: its key signs each call, in the manner of DPoP (RFC 9449).

A proof is a JSON Web Signature. Where DPoP has the key itself, `x5t#S256` names the device's
certificate (RFC 7515, 4.1.8), under which the keystore has the key; `bh` is SHA-256 of the body.
The keystore's nonce takes the place of the caller's clock (RFC 9449, 8 and 11.1).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from cloud_keystore.model.errors import KeystoreError, Overloaded

TYPE, ALGORITHM = "dpop+jwt", "ES256"
CERTIFICATE = "x5t#S256"
HEADER = frozenset({"typ", "alg", CERTIFICATE})
CLAIMS = frozenset({"jti", "htm", "htu", "iat", "nonce", "bh"})
LONGEST = 2048
LONGEST_CLAIM = 512
FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})", re.ASCII)
COORDINATE_BYTES = 32  # half a signature (RFC 7518, 3.4)
STEP_SECONDS = 60.0  # a nonce is good in the step of its making, and in the next one
STEP_BYTES, MAC_BYTES = 8, 16
MOST_SPENT = 200_000  # proofs of two steps


class ProofRejected(KeystoreError):
    """A call is not proved to be a device's; the message says why."""


class NonceNeeded(ProofRejected):
    """The proof has no nonce of this process, or an old one: it is to be made again."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof as it was sent; nothing of it is checked but its form."""

    certificate_sha256: bytes
    id: str
    method: str
    url: str
    nonce: str
    body_sha256: bytes
    signed: bytes
    signature: bytes  # r and s

    @classmethod
    def parse(cls, text: str) -> Proof:
        """Read the value of the header field; raises ProofRejected."""
        found = FORM.fullmatch(text) if len(text) <= LONGEST else None
        if found is None:
            raise ProofRejected("there is no proof of a device in the field DPoP")
        header, claims = _object(found[1], HEADER), _object(found[2], CLAIMS)
        if (header["typ"], header["alg"]) != (TYPE, ALGORITHM):
            raise ProofRejected(f"a proof is a {TYPE}, signed by {ALGORITHM}")
        if type(claims["iat"]) is not int:
            raise ProofRejected("iat is no time")
        return cls(
            certificate_sha256=_digest(_text(header, CERTIFICATE)),
            id=_text(claims, "jti"),
            method=_text(claims, "htm"),
            url=_text(claims, "htu"),
            nonce=_text(claims, "nonce"),
            body_sha256=_digest(_text(claims, "bh")),
            signed=f"{found[1]}.{found[2]}".encode(),
            signature=decoded(found[3]),
        )

    def check_call(self, method: str, url: str, body: bytes) -> None:
        """Raise ProofRejected unless the proof is for this call."""
        if self.method != method or self.url != url:
            raise ProofRejected("the proof is for another call")
        if not hmac.compare_digest(self.body_sha256, sha256(body).digest()):
            raise ProofRejected("the proof is for another body")

    def check_key(self, public_key: bytes) -> None:
        """Raise ProofRejected unless this key (SubjectPublicKeyInfo, DER) has made the proof."""
        wrong = ProofRejected("the proof is not of this device's key")
        key = load_der_public_key(public_key)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise wrong
        r, s = self.signature[:COORDINATE_BYTES], self.signature[COORDINATE_BYTES:]
        signature = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
        try:
            key.verify(signature, self.signed, ec.ECDSA(SHA256()))
        except InvalidSignature:
            raise wrong from None


@dataclass(slots=True)
class Nonces:
    """Makes nonces of one process, and remembers which proofs were spent under them: a proof is
    good once, at one process. To be used by one thread.
    """

    secret: bytes = field(repr=False)
    monotonic: Callable[[], float]
    _spent: dict[int, set[bytes]] = field(default_factory=dict)

    def fresh(self) -> str:
        """The nonce for proofs that are made now."""
        return self._nonce(self._step())

    def spend(self, proof: Proof) -> None:
        """Spend a proof. Raises NonceNeeded, ProofRejected if it was spent before, and Overloaded
        when no more can be remembered.
        """
        now = self._step()
        found = [step for step in (now, now - 1) if self._is_of(step, proof.nonce)]
        if not found:
            raise NonceNeeded("the proof needs the nonce of this answer: send it again")
        for old in [step for step in self._spent if step < now - 1]:
            del self._spent[old]
        name = sha256(proof.certificate_sha256 + proof.id.encode()).digest()[:MAC_BYTES]
        if any(name in spent for spent in self._spent.values()):
            raise ProofRejected("the proof was used before")
        if sum(map(len, self._spent.values())) >= MOST_SPENT:
            raise Overloaded("the keystore has more to do than it can: try again")
        self._spent.setdefault(found[0], set()).add(name)

    def _step(self) -> int:
        return int(self.monotonic() // STEP_SECONDS)

    def _is_of(self, step: int, nonce: str) -> bool:
        return hmac.compare_digest(self._nonce(step).encode(), nonce.encode())

    def _nonce(self, step: int) -> str:
        name = step.to_bytes(STEP_BYTES, signed=True)
        return encoded(name + hmac.digest(self.secret, name, "sha256")[:MAC_BYTES])


def encoded(raw: bytes) -> str:
    """Bytes in base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The bytes of base64url without padding; raises ProofRejected. There is one form alone."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ProofRejected("this is not base64url") from None
    if encoded(raw) != text:
        raise ProofRejected("this is not base64url")
    return raw


def _object(text: str, names: frozenset[str]) -> Mapping[str, object]:
    try:
        found = json.loads(decoded(text))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.keys() != names:
        raise ProofRejected(f"a part of the proof has other names than {', '.join(sorted(names))}")
    return found


def _text(found: Mapping[str, object], name: str) -> str:
    value = found[name]
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_CLAIM or not value.isascii():
        raise ProofRejected(f"{name} is no text")
    return value


def _digest(text: str) -> bytes:
    raw = decoded(text)
    if len(raw) != sha256().digest_size:
        raise ProofRejected("a digest has 32 bytes")
    return raw
