"""Revocation lists of external authorities, for `cloudcard ra ca crl`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

import click

from cloud_keystore.model.pki.lists import LARGEST_BROUGHT
from cloudcard.registry.v1 import external_pb2 as pb
from cloudcard.registry.v1.external_pb2_grpc import ExternalServiceStub
from cloudcard_tools.ra.registry import when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import Row

Command = Callable[..., None]
LIST_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
BROUGHT = {"name": "External CA", "number": "List number", "listed": "Certificates on it"}
PLACE = {"name": "External CA", "url": "List fetched at", "when_stale": "When stale"}
NOWHERE = "nowhere"
WORK, STOP = "work", "stop"


@dataclass(frozen=True, slots=True)
class Place:
    """Where lists are fetched, and what a stale one means."""

    url: str
    off: bool
    when_stale: str

    @property
    def is_named(self) -> bool:
        """Whether any of it was given."""
        return bool(self.url or self.off)


def list_place_options(command: Command) -> Command:
    """Add the options; pass them to the command as `place`."""

    @click.option("--url", default="", help="Fetch the list here (http) from now on, by itself.")
    @click.option("--off", is_flag=True, help="Fetch it no longer; files do it again.")
    @click.option(
        "--when-stale",
        type=click.Choice([WORK, STOP]),
        default=WORK,
        show_default=True,
        help="With --url or --off: whether cards of the authority work on while its list is "
        "stale, or are suspended until there is another one.",
    )
    @wraps(command)
    def with_place(url: str, off: bool, when_stale: str, **others: object) -> None:
        if url and off:
            raise click.UsageError("name --url or --off, not both")
        command(place=Place(url, off, when_stale), **others)

    return with_place


def bring(caller: Caller, name: str, path: Path) -> None:
    """Bring the list in a file. Raises Failure if it is none that goes."""
    with path.open("rb") as file:
        document = file.read(LARGEST_BROUGHT + 1)
    if len(document) > LARGEST_BROUGHT:
        raise Failure(
            f"{path} has more than {LARGEST_BROUGHT >> 10} KiB: let the keystore fetch the list by "
            "itself (--url)"
        )
    request = pb.BringListRequest(authority=name, document=document)
    with caller.service(ExternalServiceStub) as stub:
        taken = stub.BringList(request)
    facts: Row = {
        "name": name,
        "number": taken.number,
        "listed": taken.listed,
        "is_new": taken.is_new,
    }
    caller.print_facts(facts, BROUGHT)
    if not taken.is_new and not caller.as_json:
        click.echo("It was brought before.", err=True)


def name_place(caller: Caller, name: str, place: Place) -> None:
    """Say where lists are fetched, and what a stale one means."""
    stops = place.when_stale == STOP
    request = pb.UseListRequest(authority=name, url=place.url, stops=stops)
    with caller.service(ExternalServiceStub) as stub:
        changed = stub.UseList(request).changed
    facts: Row = {
        "name": name,
        "url": place.url or NOWHERE,
        "when_stale": place.when_stale,
        "changed": changed,
    }
    caller.print_facts(facts, PLACE)
    if not changed and not caller.as_json:
        click.echo("It was so before.", err=True)


def facts(message: pb.ExternalAuthority) -> Row:
    """What is shown of an authority's list."""
    held = message.list
    is_known = message.HasField("list")
    return {
        "list_number": held.number or None,
        "list_ends": when(held.next_time) if held.number else None,
        "list_stale": held.stale,
        "list_url": held.url or None,
        "when_stale": (STOP if held.stops else WORK) if is_known else None,
        "reason": held.reason or None,
        "fix": held.fix or None,
    }
