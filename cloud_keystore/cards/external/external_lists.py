"""Revocation lists of external authorities: brought by operators, or fetched where they say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.pki.external import ExternalAuthority
from cloud_keystore.model.pki.lists import ExternalList, Read, Taken, next_fetch, place
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.pki.revocation import external as reading
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import external
from cloud_keystore.storage.revocation import external_lists


@dataclass(frozen=True, slots=True)
class ListListing:
    """What is held of a list, and whether it is stale now."""

    held: ExternalList
    is_stale: bool


@dataclass(frozen=True, slots=True)
class Came:
    """A list of an authority that was read, DER."""

    authority_id: str
    read: Read
    der: bytes


@dataclass(frozen=True, slots=True)
class ExternalLists:
    """Keeps them. `hosts` are those that this keystore may call, with their ports. What follows for
    cards is for Heeding.
    """

    database: Database
    clock: Clock
    hosts: Collection[tuple[str, int]]

    def bring(self, name: str, document: bytes, *, actor: Actor) -> Taken:
        """Take a list of an authority, or of one below it, DER or PEM, in place of the one before;
        one that is held changes nothing. Raises AuthorityNotFound, InvalidInput, NotAllowed.
        """
        now = self.clock()
        with acting.looking(self.database, actor, now) as by:
            by.need(Right.POLICY, ROOT)
            authority = _issuer(by.connection, external.named(by.connection, name), document)
        # Other writers do not wait until a large list is read.
        came = read(authority, document, now)
        with acting.changing(self.database, actor, now) as by:
            by.need(Right.POLICY, ROOT)
            return take(by.connection, _same(by.connection, authority), came, now, actor)

    def use(self, name: str, url: str, *, stops: bool, actor: Actor) -> bool:
        """Fetch the lists of an authority at an address from now on, or nowhere if it is empty, and
        say whether its cards are of no use while the list is stale; False if it was so. Raises
        AuthorityNotFound, InvalidInput, NotAllowed.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            by.need(Right.POLICY, ROOT)
            connection, authority = by.connection, external.named(by.connection, name)
            if url:
                self._check_host(url)
            if stops and authority.above_id:
                raise InvalidInput(
                    f"{name} is below another authority: say for that one that its cards are of no "
                    "use while its list is stale"
                )
            before = external_lists.find(connection, authority.id) or ExternalList(authority.id)
            after = replace(before, url=url, stops=stops)
            if after == before:
                return False
            after = replace(after, tries=0, fetch_time=None, why="", fix="")
            if stops != before.stops:
                # What it says holds again for cards that it has stopped.
                after = replace(after, applied="")
            external_lists.put(connection, after)
            said: dict[str, Detail] = {
                "authority": authority.id,
                "name": name,
                "old_url": before.url,
                "url": url,
                "old_stops": before.stops,
                "stops": stops,
            }
            told = entries.about_keystore(Kind.EXTERNAL_LIST_CHANGED, now, actor, said)
            journal.append(connection, told)
        return True

    def list_all(self, *, actor: Actor) -> dict[str, ListListing]:
        """What is held, by the authorities' names. Raises NotAllowed."""
        now = self.clock()
        with acting.looking(self.database, actor, now) as by:
            by.need_somewhere(Right.VIEW)
            known = {each.id: each.name for each in external.list_all(by.connection)}
            held = external_lists.list_all(by.connection)
            return {
                known[each.authority_id]: ListListing(each, each.is_stale(now))
                for each in held
                if each.authority_id in known
            }

    def _check_host(self, url: str) -> None:
        host, port, _ = place(url)
        if (host, port) not in self.hosts:
            raise InvalidInput(
                f"this keystore may not call {host}:{port}: have it started with "
                f"--ca-host {host}:{port}"
            )


def _issuer(
    connection: Connection, authority: ExternalAuthority, document: bytes
) -> ExternalAuthority:
    """Whose list it is: that of an authority, or of one below it."""
    below = [each for each in external.issuers(connection, authority) if each.above_id]
    for each in below if not authority.above_id else ():
        if reading.issued_by(document, each.certificate):
            return each
    return authority


def _same(connection: Connection, authority: ExternalAuthority) -> ExternalAuthority:
    return external.known_as(connection, authority.id) or external.named(connection, authority.name)


def read(authority: ExternalAuthority, document: bytes, now: datetime) -> Came:
    """Read a list that an authority has signed; raises InvalidInput."""
    found = reading.read(document, authority.certificate, now)
    return Came(authority.id, found, reading.der(document))


def take(
    connection: Connection, authority: ExternalAuthority, came: Came, now: datetime, actor: Actor
) -> Taken:
    """Take a list that was read, unless it is older than what is held. Raises InvalidInput, also if
    it is that of another authority.
    """
    if came.authority_id != authority.id:
        raise InvalidInput("the authority is another one by now: bring the list again")
    held = external_lists.find(connection, authority.id) or ExternalList(authority.id)
    found, der, number = came.read, came.der, f"{came.read.number:x}"
    fetched = replace(held, tries=0, fetch_time=next_fetch(found, now), why="", fix="")
    if held.number and not _is_newer(connection, held, found, der):
        external_lists.put(connection, fetched)
        return Taken(number, held.listed, is_new=False)
    fresh = replace(
        fetched,
        number=number,
        this_time=found.this_time,
        next_time=found.next_time,
        listed=len(found.revoked),
        warn_time=None,
    )
    external_lists.keep(connection, fresh, der)
    said: dict[str, Detail] = {
        "authority": authority.id,
        "name": authority.name,
        "old_number": held.number,
        "number": number,
        "listed": fresh.listed,
        "ends": found.next_time.isoformat(),
        "sha256": sha256(der).hexdigest(),
    }
    told = entries.about_keystore(Kind.EXTERNAL_LIST_TAKEN, now, actor, said)
    journal.append(connection, told)
    return Taken(number, fresh.listed, is_new=True)


def seconds_left(database: Database, now: datetime) -> Mapping[str, float]:
    """How long the list of each authority is still good."""
    with database.read() as connection:
        held = external_lists.list_all(connection)
        known = {each.id: each.name for each in external.list_all(connection)} if held else {}
    return {
        known[each.authority_id]: (each.next_time - now).total_seconds()
        for each in held
        if each.authority_id in known and each.next_time is not None
    }


def stale(database: Database, now: datetime) -> tuple[str, ...]:
    """Which authorities' lists tell nothing of now, in words."""
    with database.read() as connection:
        held = external_lists.list_all(connection)
        known = {each.id: each.name for each in external.list_all(connection)} if held else {}
    return tuple(
        f"the revocation list of {known[each.authority_id]} "
        + ("has ended" if each.number else "has never come")
        for each in held
        if each.authority_id in known and (each.is_stale(now) or (each.url and not each.number))
    )


def _is_newer(connection: Connection, held: ExternalList, found: Read, der: bytes) -> bool:
    """Whether a list follows the one that is held; False if it is that one. Raises InvalidInput for
    an older one.
    """
    number = int(held.number, 16)
    if found.number == number:
        if der == external_lists.document(connection, held):
            return False
        raise InvalidInput(
            f"the revocation list has the number {found.number}, as another one that is held: ask "
            "the authority, which must not give a number twice"
        )
    if found.number < number or (held.this_time is not None and found.this_time < held.this_time):
        raise InvalidInput(
            f"the revocation list ({found.number}) is older than the one that is held ({number}): "
            "get the newest one"
        )
    return True
