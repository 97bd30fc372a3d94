"""The people of a bench."""

from __future__ import annotations

from cloudcard.registry.v1 import importing_pb2
from cloudcard.registry.v1.importing_pb2_grpc import ImportServiceStub
from cloudcard_tools.ra.sheets.importing import SECONDS

FORENAMES = ("Ada", "Zoë", "Seán", "Łucja", "Ольга", "Grace", "Mary", "Bo")
SURNAMES = ("Byron", "O'Brien", "Żółć", "Hopper", "Cole", "Nightingale", "王", "Hernández")


def add(stub: ImportServiceStub, numbers: range, *, dry_run: bool = False) -> None:
    """Add the people of some numbers, or have them checked alone."""
    request = importing_pb2.ImportUsersRequest(candidates=map(_person, numbers), dry_run=dry_run)
    made = stub.ImportUsers(request, timeout=SECONDS)
    if any(each.outcome != importing_pb2.IMPORT_OUTCOME_ADDED for each in made.users):
        raise RuntimeError(f"somebody was not added: {made}")


def _person(number: int) -> importing_pb2.Candidate:
    name = f"{FORENAMES[number % 8]} {SURNAMES[number // 8 % 8]}-{number:06}"
    return importing_pb2.Candidate(
        name=name,
        email=f"person.{number}+ward@example.org",
        phone=f"07{number % 10**9:09}",
    )
