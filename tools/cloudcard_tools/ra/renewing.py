"""Renewing cards, one or all that end soon; why cards are replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import grpc

from cloudcard.registry.v1 import cards_pb2 as pb
from cloudcard.registry.v1 import people_pb2
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard_tools.ra.registry import when
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.failures import Refused
from cloudcard_tools.shared.output import Value

LABELS = {"new_keys": "New keys", "retired": "Retired key"}
ELSEWHERE = {"authority": "Certified by", "waiting": "Waiting keys"}
STAYS = (
    "The card stays as it is until all certificates have come, and is then renewed: "
    "cloudcard ra card requests list"
)
COMPROMISED = "compromised"
REASONS = {
    "lost": pb.REPLACEMENT_REASON_LOST,
    "damaged": pb.REPLACEMENT_REASON_DAMAGED,
    COMPROMISED: pb.REPLACEMENT_REASON_COMPROMISED,
}
COLUMNS = {
    "serial": "Card",
    "holder": "Holder",
    "expires": "Expires",
    "result": "Result",
}


def renew(stub: CardServiceStub, serial: str, *, dry_run: bool) -> pb.RenewCardResponse:
    """Renew a card. Raises grpc.RpcError."""
    known = stub.GetCard(pb.GetCardRequest(card_serial=serial)).card.expire_time
    asked = pb.RenewCardRequest(card_serial=serial, expire_time=known, dry_run=dry_run)
    return stub.RenewCard(asked)


def labels(done: pb.RenewCardResponse) -> dict[str, str]:
    """What people are shown of it."""
    return LABELS | (ELSEWHERE if done.authority else {})


def facts(done: pb.RenewCardResponse) -> dict[str, Value]:
    """What has changed, or would change."""
    return {
        "new_keys": [f"{each:02X}" for each in done.renewed_key_refs],
        "retired": f"{done.retired_key_ref:02X}" if done.retired_key_ref else None,
        "new_expiry": when(done.new_expire_time),
        "authority": done.authority or None,
        "waiting": [f"{each:02X}" for each in done.waiting_key_refs],
    }


def note(done: pb.RenewCardResponse, *, dry_run: bool) -> str:
    """What else people are told; empty if there is nothing."""
    if done.waiting_key_refs:
        return STAYS
    return "Nothing was changed: this is what would." if dry_run else ""


def cards_of(expiring: Iterable[people_pb2.Expiring]) -> dict[str, people_pb2.Expiring]:
    """The cards that end, or whose keys sign no longer, by serial number."""
    found: dict[str, people_pb2.Expiring] = {}
    for each in expiring:
        if each.card_serial:
            found.setdefault(each.card_serial, each)
    return found


def renew_all(
    stub: CardServiceStub, ending: Mapping[str, people_pb2.Expiring], *, dry_run: bool
) -> list[dict[str, Value]]:
    """Renew cards one by one, and say what came of each. A refusal of one is no reason to leave out
    the others. Raises grpc.RpcError if the keystore is out of reach.
    """
    rows: list[dict[str, Value]] = []
    for serial, each in ending.items():
        try:
            done = renew(stub, serial, dry_run=dry_run)
        except grpc.RpcError as error:
            failure = explain(error)
            if not isinstance(failure, Refused):
                raise
            said: dict[str, Value] = {"renewed": False, "result": failure.message}
        else:
            is_done = not dry_run and not done.waiting_key_refs
            said = {"renewed": is_done, "result": _result(done, dry_run=dry_run)}
        rows.append(
            {"serial": serial, "holder": each.holder, "expires": when(each.expire_time), **said}
        )
    return rows


def _result(done: pb.RenewCardResponse, *, dry_run: bool) -> str:
    if done.waiting_key_refs:
        return f"waits for certificates of {done.authority}"
    if dry_run and done.authority:
        return f"{done.authority} can be asked to renew it"
    would = "can be renewed" if dry_run else "renewed"
    return f"{would} until {when(done.new_expire_time)}"
