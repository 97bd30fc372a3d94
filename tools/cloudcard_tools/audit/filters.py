"""The options that select entries, the same for `show` and `pack`. The beginning of what they take
is enough if nothing else begins so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps

import click

from cloud_keystore.model.finding import Sort
from cloud_keystore.model.journal import Kind
from cloudcard.audit.v1 import audit_pb2 as pb
from cloudcard_tools.shared.finding import WORDS, Ask, find

Command = Callable[..., None]
TIMES = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])


@dataclass(frozen=True, slots=True)
class Filters:
    """What selects entries, as it was typed."""

    card: str
    user: str
    workstation: str
    operation: str
    kinds: tuple[str, ...]
    since: datetime | None
    until: datetime | None

    def query(self, ask: Ask) -> pb.SearchEntriesRequest:
        """The conditions, with identifiers for what was named. Raises Failure unless each names
        exactly one.
        """
        query = pb.SearchEntriesRequest(
            card_serial=_found(ask, Sort.CARD, self.card),
            user_id=_found(ask, Sort.USER, self.user),
            workstation_id=_found(ask, Sort.WORKSTATION, self.workstation),
            operation_id=_found(ask, Sort.OPERATION, self.operation),
            kinds=self.kinds,
        )
        if self.since is not None:
            query.since.FromDatetime(self.since.replace(tzinfo=UTC))
        if self.until is not None:
            query.until.FromDatetime(self.until.replace(tzinfo=UTC))
        return query


def _found(ask: Ask, sort: Sort, text: str) -> str:
    return find(ask, sort, text, words=WORDS[sort]._replace(listed_by="")) if text else ""


def filter_options(command: Command) -> Command:
    """Add the options, and pass them to the command as `filters`."""

    @click.option("--card", default="", help="A card: serial number, or holder's name or e-mail.")
    @click.option("--user", default="", help="A person: name, e-mail, card or identifier.")
    @click.option("--workstation", default="", help="A workstation: name or identifier.")
    @click.option("--operation", default="", help="Identifier of an operation or a session.")
    @click.option(
        "--kind",
        "kinds",
        multiple=True,
        type=click.Choice([kind.value for kind in Kind]),
        metavar="KIND",
        help="What happened, such as operation.approved; repeatable.",
    )
    @click.option("--since", type=TIMES, help="Not before this time, UTC.")
    @click.option("--until", type=TIMES, help="Before this time, UTC.")
    @wraps(command)
    def with_filters(
        card: str,
        user: str,
        workstation: str,
        operation: str,
        kinds: tuple[str, ...],
        since: datetime | None,
        until: datetime | None,
        **others: object,
    ) -> None:
        filters = Filters(card, user, workstation, operation, kinds, since, until)
        command(filters=filters, **others)

    return with_filters
