"""The options that select entries, the same for `show` and `pack`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps

import click

from cloud_keystore.model.journal import Kind
from cloudcard.audit.v1 import audit_pb2 as pb

Command = Callable[..., None]
TIMES = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])


def filter_options(command: Command) -> Command:
    """Add the options, and pass them to the command as `query`."""

    @click.option("--card", default="", help="Serial number of a card.")
    @click.option("--user", default="", help="Identifier of a person.")
    @click.option("--workstation", default="", help="Identifier of a workstation.")
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
    def with_query(
        card: str,
        user: str,
        workstation: str,
        operation: str,
        kinds: tuple[str, ...],
        since: datetime | None,
        until: datetime | None,
        **others: object,
    ) -> None:
        query = pb.SearchEntriesRequest(
            card_serial=card,
            user_id=user,
            workstation_id=workstation,
            operation_id=operation,
            kinds=kinds,
        )
        if since is not None:
            query.since.FromDatetime(since.replace(tzinfo=UTC))
        if until is not None:
            query.until.FromDatetime(until.replace(tzinfo=UTC))
        command(query=query, **others)

    return with_query
