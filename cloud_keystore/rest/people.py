"""People, their invitations and their devices."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import Header, HTTPException, Path, Query, Response

from cloud_keystore.cards.leaving import Leaving
from cloud_keystore.cards.reports import Reports
from cloud_keystore.cards.showing import Showing
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.finding import LONGEST_TEXT
from cloud_keystore.model.limits import MOST_DAYS
from cloud_keystore.model.people import IdentityState, version
from cloud_keystore.people.devices import Devices
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.listing import Wanted
from cloud_keystore.people.people import People
from cloud_keystore.people.portal.addresses import Addresses
from cloud_keystore.rest import models as m
from cloud_keystore.rest import translating
from cloud_keystore.rest.calls import current
from cloud_keystore.rest.paging import ITEMS, Limit, PageToken, cut, page_of

UserId = Annotated[str, Path(max_length=64, description="Identifier of the person.")]
DeviceId = Annotated[str, Path(max_length=64, description="Identifier of the device.")]
IfMatch = Annotated[
    str, Header(max_length=64, description="The ETag of the person, or * for whatever it is now.")
]
DAYS = 60


@dataclass(frozen=True, slots=True)
class PeopleCalls:
    """What can be asked about people."""

    people: People
    addresses: Addresses
    showing: Showing
    leaving: Leaving
    reports: Reports
    devices: Devices
    identities: Identities
    clock: Clock

    def list_users(
        self,
        q: Annotated[
            str,
            Query(
                max_length=LONGEST_TEXT,
                description="Part of a name, UUID, address or account, or how a card's serial "
                "number begins.",
            ),
        ] = "",
        state: Annotated[
            Literal["pending", "enrolled", "closed"] | None,
            Query(description="Only people in this state."),
        ] = None,
        limit: Limit = ITEMS,
        page_token: PageToken = "",
    ) -> m.UserPage:
        """The people whom the client sees, oldest first."""
        page = page_of("users", limit, page_token)
        wanted = Wanted(q, states=() if state is None else (state,))
        found = self.people.list_users(page, wanted, actor=current().actor)
        items, following = cut("users", found, limit, lambda each: each.user.id)
        users = [translating.listed_user(each) for each in items]
        return m.UserPage(users=users, next_page_token=following)

    def add_user(self, asked: m.NewUser) -> m.AddedUser:
        """Add a person, and invite the first phone. Whoever repeats this gets the same person, and
        no invitation.
        """
        user, token = self.people.add_user(
            asked.name,
            asked.email,
            asked.upn,
            asked.sid,
            namesake=asked.namesake,
            organisation_id=asked.organisation_id,
            actor=current().actor,
        )
        invitation = None if token is None else translating.invitation(token)
        return m.AddedUser(user=translating.user(user), invitation=invitation)

    def show_user(self, user_id: UserId, response: Response) -> m.WholeUser:
        """One person with cards, devices and what happened last. The journal tells who has looked
        at whom.
        """
        found = self.showing.show(user_id, current().caller)
        response.headers["ETag"] = f'"{version(found.user)}"'
        return translating.whole_user(found, self.clock())

    def change_user(
        self, user_id: UserId, asked: m.UserChange, response: Response, if_match: IfMatch = ""
    ) -> m.User:
        """Give a person another name, address, phone number or organisation, or another profile of
        the next cards. Another e-mail address of somebody who has a phone waits until it is
        verified, by the link that is mailed to it. `If-Match` says what the client has seen: the
        `ETag` of the person.
        """
        changed = self.people.change_user(
            user_id,
            asked.name,
            asked.email,
            asked.phone,
            asked.organisation_id,
            asked.profile,
            seen=_seen(if_match),
            actor=current().actor,
        )
        response.headers["ETag"] = f'"{version(changed)}"'
        return translating.user(changed)

    def send_link(self, user_id: UserId) -> m.SentLink:
        """Mail a link to the address that waits to be verified, once more. The one before is
        void.
        """
        sent = self.addresses.send_link(user_id, actor=current().actor)
        return m.SentLink(email=sent.address, expires=sent.expire_time)

    def close_user(self, user_id: UserId, asked: m.Closing) -> m.Consequences:
        """End everything of a person who leaves, for ever."""
        caller = current().caller
        if asked.dry_run:
            return translating.consequences(self.leaving.foresee(user_id, caller))
        return translating.consequences(self.leaving.close(user_id, asked.reason, caller))

    def invite(self, user_id: UserId) -> m.Invitation:
        """Invite one more phone of a person."""
        return translating.invitation(self.people.invite_device(user_id, actor=current().actor))

    def list_devices(self, user_id: UserId) -> m.Devices:
        """The devices of a person, oldest first, removed ones included."""
        actor, now = current().actor, self.clock()
        found = [each.device for each in self.devices.list_of(user_id, actor=actor)]
        invited = [each.id for each in found if each.state is IdentityState.INVITED]
        ends = self.identities.invitations(invited, actor=actor) if invited else {}
        return m.Devices(devices=[translating.device(each, ends, now) for each in found])

    def remove_device(self, device_id: DeviceId, asked: m.Removal) -> m.Device:
        """Take a device out of use for ever, with what it has approved."""
        gone = self.devices.remove(device_id, asked.reason, current().caller)
        return translating.device(gone.device, {}, self.clock())

    def list_pending(self, limit: Limit = ITEMS, page_token: PageToken = "") -> m.PendingPage:
        """The people who have not finished enrolling, oldest first."""
        page = page_of("pending", limit, page_token)
        found = self.reports.pending(page, actor=current().actor)
        items, following = cut("pending", found, limit, lambda each: each.user.id)
        pending = [translating.pending(each) for each in items]
        return m.PendingPage(pending=pending, next_page_token=following)

    def list_expiring(
        self,
        days: Annotated[int, Query(ge=0, le=MOST_DAYS, description="How far to look.")] = DAYS,
        limit: Limit = ITEMS,
        page_token: PageToken = "",
    ) -> m.ExpiringPage:
        """What ends within some days or has ended, the first to end first."""
        page = page_of("expiring", limit, page_token)
        found = self.reports.expiring(days, page, actor=current().actor)
        items, following = cut("expiring", found, limit, lambda each: str(each.place))
        expiring = [translating.expiring(each) for each in items]
        return m.ExpiringPage(expiring=expiring, next_page_token=following)


def _seen(if_match: str) -> str:
    """The version that a client has seen; empty for any. Raises HTTPException without one."""
    if not if_match:
        raise HTTPException(HTTPStatus.PRECONDITION_REQUIRED)
    return "" if if_match.strip() == "*" else if_match.strip().strip('"') or "none"
