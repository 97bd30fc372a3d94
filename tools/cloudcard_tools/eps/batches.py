"""Up to 250 prescriptions that one approval signs. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import new

from cryptography import x509

from cloudcard_tools.eps import fragments, signatures
from cloudcard_tools.eps.canonical import Unreadable
from cloudcard_tools.eps.signatures import ALGORITHMS, Algorithm, Signature

MOST = 250  # of the Digital Signature Service
LONGEST_SUMMARY = 64  # characters that the keystore takes as the name of a program or document
# What tells a prescription and no person: a UUID, or what is printed on a prescription
NUMBER = re.compile(
    r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}|[0-9A-F]{6}-[0-9A-Z]{6}-[0-9A-F]{5}[0-9A-Z+]",
    re.IGNORECASE,
)
UNNUMBERED = "prescription without a number"
ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")  # as which a file can be named


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prescription as `$prepare` answers it: what is signed, and how."""

    id: str
    signed_info: bytes
    algorithm: Algorithm
    description: str = ""
    """What tells it apart for its signer, and names no patient."""

    @property
    def digest(self) -> bytes:
        """What the card's key is asked to sign, as PKCS #1 v1.5 has it within."""
        return new(self.algorithm.digest, self.signed_info).digest()


@dataclass(frozen=True, slots=True)
class Batch:
    """Prescriptions that are approved together."""

    prepared: Sequence[Prepared]

    def summary(self, program: str) -> str:
        """What the phone shows as the asking program: which system asks, for which prescription or
        for how many, and nothing of patients.
        """
        several = f"{len(self.prepared)} prescriptions"
        what = self.prepared[0].description if len(self.prepared) == 1 else several
        room = LONGEST_SUMMARY - len(what) - len(": ")
        return f"{program[:room]}: {what}" if room > 0 else what[:LONGEST_SUMMARY]

    @property
    def documents(self) -> Sequence[str]:
        """What the phone lists: each prescription, in the order in which they are signed."""
        return [(each.description or UNNUMBERED)[:LONGEST_SUMMARY] for each in self.prepared]

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


def is_json(content: bytes) -> bool:
    """Whether a file is no message."""
    return content.lstrip().startswith(b"{")


def read(number: str, content: bytes, algorithm: Algorithm) -> Sequence[Prepared]:
    """Read what is to be signed: an answer of `$prepare`, what an application asks a signing
    service for, or an HL7 message, which is signed by `algorithm`. Raises Unreadable.
    """
    _require_id(number)
    if not is_json(content):
        found = fragments.of_prescription(content)
        items = f"{found.items} item" + "s" * (found.items != 1)
        signed = signatures.signed_info(found.content, algorithm)
        return [
            Prepared(number, signed, algorithm, f"{found.number}, {items}"),
        ]
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        raise Unreadable("this is no JSON") from None
    return several(told) if "payloads" in told else [prepared(number, told)]


def prepared(number: str, parameters: object) -> Prepared:
    """Read an answer of `$prepare`: FHIR Parameters with `digest` (what is signed, base64) and
    `algorithm`. Whatever is no digest of a prescription is refused. Raises Unreadable.
    """
    told = _told(parameters)
    return _prepared(number, told.get("digest", ""), told.get("algorithm", ""))


def several(request: object) -> Sequence[Prepared]:
    """Read what an application asks a signing service for: `payloads`, each with `id` and
    `payload` (what is signed, base64), and one `algorithm`. Raises Unreadable.
    """
    told = request if isinstance(request, dict) else {}
    rows, algorithm = told.get("payloads"), told.get("algorithm")
    if not isinstance(rows, list) or not 0 < len(rows) <= MOST:
        raise Unreadable(f"payloads is a list of 1 to {MOST}")
    found = []
    for row in rows:
        kept = row if isinstance(row, dict) else {}
        number, payload = kept.get("id"), kept.get("payload")
        if not isinstance(number, str) or not isinstance(payload, str):
            raise Unreadable("each payload has an id and a payload, which are texts")
        found.append(_prepared(number, payload, algorithm if isinstance(algorithm, str) else ""))
    return found


def _prepared(number: str, digest: str, name: str) -> Prepared:
    _require_id(number)
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        raise Unreadable(f"{number}: the algorithm is {' or '.join(ALGORITHMS)}")
    try:
        content = base64.b64decode(digest, validate=True)
    except ValueError:
        raise Unreadable(f"{number}: the digest is not encoded as base64") from None
    if not signatures.is_signed_info(content, algorithm):
        raise Unreadable(f"{number}: the digest is not SignedInfo of a prescription")
    # Somebody may have named a file after the patient.
    shown = number if NUMBER.fullmatch(number) else UNNUMBERED
    return Prepared(number, content, algorithm, shown)


def _require_id(number: str) -> None:
    if not ID.fullmatch(number):
        raise Unreadable("an id has 1 to 100 letters, digits, dots, hyphens and underscores")


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
