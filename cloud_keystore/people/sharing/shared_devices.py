"""Devices that several holders share, for the registration authority: added, listed with who is
signed in, and removed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cloud_keystore.audit import acting
from cloud_keystore.audit.acting import Acting
from cloud_keystore.custody.use.closing import end_seats
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.model.sharing.seats import Seat, Why
from cloud_keystore.people.identities import Identities, named
from cloud_keystore.people.people import People, Token
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.sharing import devices, seats
from cloud_keystore.storage.sharing.seats import Which


@dataclass(frozen=True, slots=True)
class SharedDeviceListing:
    """A shared device; with the seat and the name of whoever is signed in, as far as the actor sees
    that person.
    """

    device: Identity
    seat: Seat | None = None
    holder: str = ""


@dataclass(frozen=True, slots=True)
class SharedDevices:
    """Adds, lists and removes shared devices."""

    people: People
    identities: Identities

    def add(
        self, display_name: str, site: str, organisation_id: str = "", *, actor: Actor
    ) -> tuple[Identity, Token]:
        """Add a shared device, and make a token for its page; raises InvalidInput,
        OrganisationNotFound, NotAllowed.
        """
        return self.people.add_shared_device(display_name, site, organisation_id, actor=actor)

    def list_all(self, page: Page | None = None, *, actor: Actor) -> list[SharedDeviceListing]:
        """The shared devices that the actor sees, oldest first, removed ones included; or a page of
        them. Raises NotAllowed.
        """
        now = self.people.clock()
        with acting.looking(self.people.database, actor, now) as by:
            by.need_somewhere(Right.VIEW)
            return _listed(by, devices.listed(by.connection, page, _shown(by)))

    def find(self, device_id: str, *, actor: Actor) -> SharedDeviceListing:
        """One shared device that the actor sees. Raises IdentityNotFound, NotAllowed."""
        now = self.people.clock()
        with acting.looking(self.people.database, actor, now) as by:
            found = named(by, Role.SHARED_DEVICE, device_id)
            by.need(Right.VIEW, found.organisation_id)
            (listing,) = _listed(by, [found])
        return listing

    def sign_out(self, device_id: str, operator: Identity) -> Identity:
        """Sign out whoever is at a shared device, and void its code; does nothing if nobody is.
        Raises IdentityNotFound, NotAllowed.
        """
        now = self.people.clock()
        with acting.changing(self.people.database, operator.actor, now) as by:
            found = named(by, Role.SHARED_DEVICE, device_id)
            by.need(Right.WORKSTATIONS, found.organisation_id)
            which = Which(device_id=found.id)
            topics = end_seats(by.connection, now, operator.actor, Why.OPERATOR, which)
        self.identities.wake(topics)
        return found

    def remove(self, device_id: str, reason: str, operator: Identity) -> Identity:
        """Take a shared device out of use for ever, and sign out whoever is there; does nothing if
        it is removed already. Raises IdentityNotFound, NotAllowed, InvalidInput, IdentityRejected.
        """
        return self.identities.remove(Role.SHARED_DEVICE, device_id, reason, operator)


def _shown(by: Acting) -> Collection[str] | None:
    """Identifiers of the organisations whose shared devices the actor may look at; None for all."""
    if by.held.has(Right.VIEW, ROOT):
        return None
    every = organisations.list_all(by.connection)
    return [each.id for each in every if by.held.has(Right.VIEW, each.id)]


def _listed(by: Acting, found: Sequence[Identity]) -> list[SharedDeviceListing]:
    there = {
        each.device_id: each
        for each in seats.open_at(by.connection, [each.id for each in found], by.now)
    }
    seen = by.seen_users({each.user_id for each in there.values() if each.user_id})
    holders = {each.id: each for each in people.with_ids(by.connection, seen)}
    return [
        SharedDeviceListing(
            each,
            there.get(each.id),
            holders[seat.user_id].display_name
            if (seat := there.get(each.id)) is not None and seat.user_id in holders
            else "",
        )
        for each in found
    ]
