"""Up to 250 prescriptions that one approval signs. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import new

from cryptography import x509

from cloudcard_tools.eps import signatures
from cloudcard_tools.eps.canonical import Unreadable
from cloudcard_tools.eps.signatures import ALGORITHMS, Algorithm, Signature

MOST = 250  # of the Digital Signature Service
LONGEST_ID = 100


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prescription as `$prepare` answers it: what is signed, and how."""

    id: str
    signed_info: bytes
    algorithm: Algorithm

    @property
    def digest(self) -> bytes:
        """What the card's key is asked to sign, as PKCS #1 v1.5 has it within."""
        return new(self.algorithm.digest, self.signed_info).digest()


@dataclass(frozen=True, slots=True)
class Batch:
    """Prescriptions that are approved together."""

    prepared: Sequence[Prepared]

    def signed(self, values: Sequence[bytes], certificate: x509.Certificate) -> Mapping[str, bytes]:
        """The signatures, by the ids of their prescriptions. Raises Unreadable unless there is one
        for each, of the certificate's key: nobody gets a part of a batch.
        """
        if len(values) != len(self.prepared):
            raise Unreadable(f"there are {len(values)} signatures for {len(self.prepared)}")
        found: dict[str, bytes] = {}
        for each, value in zip(self.prepared, values, strict=True):
            if not Signature(each.algorithm, each.signed_info, value, certificate).is_right():
                raise Unreadable(f"the signature of {each.id} is not of the certificate's key")
            found[each.id] = signatures.written(each.signed_info, value, certificate)
        return found


def batch(prepared: Sequence[Prepared]) -> Batch:
    """A batch of prescriptions. Raises Unreadable."""
    if not 0 < len(prepared) <= MOST:
        raise Unreadable(f"one approval signs 1 to {MOST} prescriptions, and not {len(prepared)}")
    if len({each.id for each in prepared}) != len(prepared):
        raise Unreadable("two prescriptions have the same id")
    if len({each.signed_info for each in prepared}) != len(prepared):
        raise Unreadable("a prescription is there twice")
    return Batch(tuple(prepared))


def prepared(number: str, parameters: object) -> Prepared:
    """Read an answer of `$prepare`: FHIR Parameters with `digest` (what is signed, base64) and
    `algorithm`. Whatever is no digest of a prescription is refused. Raises Unreadable.
    """
    if not 0 < len(number) <= LONGEST_ID:
        raise Unreadable(f"an id has 1 to {LONGEST_ID} characters")
    told = _told(parameters)
    algorithm = ALGORITHMS.get(told.get("algorithm", ""))
    if algorithm is None:
        raise Unreadable(f"{number}: the algorithm is {' or '.join(ALGORITHMS)}")
    try:
        content = base64.b64decode(told.get("digest", ""), validate=True)
    except ValueError:
        raise Unreadable(f"{number}: the digest is not encoded as base64") from None
    if not signatures.is_signed_info(content, algorithm):
        raise Unreadable(f"{number}: the digest is not SignedInfo of a prescription")
    return Prepared(number, content, algorithm)


def _told(parameters: object) -> Mapping[str, str]:
    rows = parameters.get("parameter") if isinstance(parameters, dict) else None
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise Unreadable("an answer of $prepare is a FHIR resource of type Parameters")
    found: dict[str, str] = {}
    for row in rows if isinstance(rows, list) else []:
        kept = row if isinstance(row, dict) else {}
        name, value = kept.get("name"), kept.get("valueString")
        if not isinstance(name, str) or not isinstance(value, str) or name in found:
            raise Unreadable("each parameter has a name of its own and a valueString")
        found[name] = value
    return found
