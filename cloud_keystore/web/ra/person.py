"""The pages of one person: cards, Windows accounts, devices, what happened. Each has an address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.cards.showing import Showing, Told, Whole
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.fields.software import Compatibility, Contact
from cloud_keystore.model.people import Identity, IdentityState, UserState
from cloud_keystore.web.ra import words
from cloud_keystore.web.ra.acts import acts_on
from cloud_keystore.web.ra.people import PEOPLE
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.ra.words import Done
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import current

JUST_NOW = timedelta(minutes=2)  # for which a page says that something was done
PERSON = f"{PEOPLE}/{{user_id}}"


class Part(NamedTuple):
    """A part of what there is about a person."""

    path: str  # below the person's
    text: str
    number: Callable[[Whole], int | None]


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "cards": Part("", "Cards", lambda whole: len(whole.cards)),
        "accounts": Part("/accounts", "Windows accounts", lambda whole: len(whole.accounts)),
        "devices": Part("/devices", "Devices", lambda whole: len(whole.devices)),
        "log": Part("/log", "Log", lambda _: None),
    }
)


class DeviceLine(NamedTuple):
    """A device as the page shows it."""

    device: Identity
    state: str
    ends: datetime | None
    software: str
    outdated: bool
    seen: datetime | None
    pin_tries: int | None  # None if it asks for no PIN


@dataclass(frozen=True, slots=True)
class PersonPages:
    """Shows one person. The journal tells who has looked."""

    views: Views
    showing: Showing
    clock: Clock

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return tuple(
            Row("GET", f"{PERSON}{part.path}", partial(self.show, name))
            for name, part in PARTS.items()
        )

    def show(self, name: str, request: Request) -> Response:
        """One part of what there is about a person."""
        operator = current().visitor
        whole = self.showing.show(str(request.path_params["user_id"]), operator)
        told = words.DONE.get(request.query_params.get("done", ""))
        return self.page(name, whole, None if told is None else self._done(told, whole))

    def _done(self, told: Done, whole: Whole) -> tuple[Done, Told | None] | None:
        """What was done a moment ago, with its entry of the log. An address that says so of what
        was not done shows nothing.
        """
        since = self.clock() - JUST_NOW
        entry = next(
            (each for each in whole.events if each.kind is told.kind and each.time >= since), None
        )
        return None if entry is None and told.kind is not None else (told, entry)

    def page(self, name: str, whole: Whole, done: tuple[Done, Told | None] | None) -> Response:
        """The page of a part."""
        own = f"{PEOPLE}/{whole.user.id}"
        now = self.clock()
        rights = self.views.visits.rights(whole.user.id, current().visitor)
        is_here = whole.user.state is not UserState.CLOSED
        return self.views.page(
            f"person_{name}",
            whole=whole,
            user=whole.user,
            own=own,
            part=name,
            tabs=[
                (f"{own}{each.path}", each.text, each.number(whole), key == name)
                for key, each in PARTS.items()
            ],
            done=done,
            may={each.value for each in rights} if is_here else set(),
            acts={each.card.serial: acts_on(each, rights) for each in whole.cards},
            state=_state(whole),
            next_step=words.next_step(whole.progress),
            devices=[_device(each.device, whole, now) for each in whole.devices],
        )


def _state(whole: Whole) -> str:
    if whole.user.state.value == "closed":
        return "closed"
    return "enrolled" if whole.progress.stage.value == "enrolled" else "pending"


def _device(device: Identity, whole: Whole, now: datetime) -> DeviceLine:
    ends = None if device.state is IdentityState.REMOVED else device.expire_time
    if device.state is IdentityState.INVITED:
        ends = whole.invitations.get(device.id)
    contact = whole.contacts.get(device.id)
    return DeviceLine(
        device,
        device.state_at(now),
        ends,
        _software(contact),
        contact is not None and contact.software.compared() is Compatibility.OUTDATED,
        None if contact is None else contact.seen_time,
        whole.pin_tries.get(device.id) if device.is_active(now) else None,
    )


def _software(contact: Contact | None) -> str:
    """The version and the platform of a client, as far as it has said them."""
    if contact is None:
        return ""
    said = contact.software
    platform = f"{said.platform} {said.platform_version}".strip()
    return ", ".join(each for each in (said.version, platform) if each)
