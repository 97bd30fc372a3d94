"""API clients, which operators add, and which have roles as operators do. They are removed as other
identities are (`identities`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.texts import LONGEST_LABEL, text_field
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, IdentityState, Role
from cloud_keystore.model.rights import clients
from cloud_keystore.model.rights.clients import LIFETIME, LONGEST_LIFETIME
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people import roles
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import assignments, custom_roles


@dataclass(frozen=True, slots=True)
class ClientListing:
    """An API client as lists show it, with the roles that it has now."""

    client: Identity
    roles: tuple[str, ...]
    organisation_name: str


@dataclass(frozen=True, slots=True)
class NewClient:
    """An API client that was added. Its token is shown once, and kept nowhere."""

    listing: ClientListing
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Clients:
    """Adds and lists API clients."""

    database: Database
    clock: Clock
    random: Random

    def add(
        self,
        display_name: str,
        wanted: Collection[str],
        organisation_id: str = "",
        until: datetime | None = None,
        *,
        actor: Actor,
    ) -> NewClient:
        """Add a client that has some roles in an organisation and below it, and whose token is good
        until a time: for a year, if none is given, and not for longer than the actor has the
        rights of its roles. Raises InvalidInput, OrganisationNotFound, NotAllowed.
        """
        name, now = text_field("name", display_name, LONGEST_LABEL), self.clock()
        end = _end(until, now)
        if not wanted:
            raise InvalidInput("role is missing: name at least one of cloudcard ra role list")
        token = clients.new_token(self.random)
        token_sha256 = clients.token_sha256(token)
        with acting.changing(self.database, actor, now) as by:
            place = by.place(Right.ROLES, organisation_id)
            given = {each: roles.grantable(by, each, Role.CLIENT, place) for each in wanted}
            if until is not None:
                for role in given.values():
                    role.check_end(until, place)
            ends = [each.until_time for each in given.values() if each.until_time is not None]
            end = min([end, *ends])
            client = Identity(
                id=new_id(now, self.random),
                role=Role.CLIENT,
                state=IdentityState.ACTIVE,
                display_name=name,
                site="",
                user_id=None,
                certificate_sha256=token_sha256,
                public_key=None,
                create_time=now,
                expire_time=end,
                organisation_id=place,
                assigned=True,
                invited_by=str(actor),
            )
            people.add_identities(by.connection, client)
            said = {"identity": client.id, "name": name, "until": str(end)}
            told = entries.about_identity(
                Kind.CLIENT_ADDED, client, now, actor, said, {"token_sha256": token_sha256 or b""}
            )
            journal.append(by.connection, told)
            for role in given.values():
                roles.grant_first(by, new_id(now, self.random), client, role)
            return NewClient(_listing(by.connection, client, now), token)

    def list_all(self, *, actor: Actor) -> list[ClientListing]:
        """The clients where the actor grants roles, oldest first, removed ones included."""
        now = self.clock()
        with acting.looking(self.database, actor, now) as by:
            by.need_somewhere(Right.ROLES)
            return [
                _listing(by.connection, each, now)
                for each in people.list_identities(by.connection, Role.CLIENT)
                if by.held.has(Right.ROLES, each.organisation_id)
            ]


def _end(until: datetime | None, now: datetime) -> datetime:
    end = now + LIFETIME if until is None else until
    if not now < end <= now + LONGEST_LIFETIME:
        raise InvalidInput("until is past, or more than five years ahead: give another day")
    return end


def _listing(connection: Connection, client: Identity, now: datetime) -> ClientListing:
    held = [each for each in assignments.of(connection, client) if each.is_in_force(now)]
    place = organisations.name(connection, client.organisation_id)
    called = custom_roles.names(connection, {each.role for each in held})
    names = sorted(called.get(each.role, each.role) for each in held)
    return ClientListing(client, tuple(names), place)
