"""What programs ask of the registration authority."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast
from urllib.parse import quote, urlencode

from cloudcard_client.calling import Calling, Https, Told
from cloudcard_client.models import Card, Invitation, Person


@dataclass(frozen=True, slots=True)
class Client:
    """An API client. Its methods raise ApiError, and NotReached."""

    calling: Calling

    @classmethod
    def at(cls, address: str, token: str, ca_file: Path | str | None = None) -> Client:
        """A client of the keystore at an address, such as https://keystore.example.org:7447, whose
        certificate is checked by an authority in a file, or by those of the system.
        """
        tls = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        return cls(Calling(Https(address, tls), token))

    def people(self, text: str = "", state: str = "") -> Iterator[Person]:
        """All people whom a text finds, in a state; pages are fetched when they are needed."""
        wanted = {"q": text, "state": state}
        for told in self._pages("/v1/users", wanted):
            yield from map(_person, _several(told, "users"))

    def person(self, user_id: str) -> Person:
        """One person, with the version that `change_person` needs."""
        return _seen(self.calling.get(f"/v1/users/{quote(user_id)}"))

    def add_person(
        self, name: str, email: str = "", **more: str
    ) -> tuple[Person, Invitation | None]:
        """Add a person; the invitation is for the first phone, None if the person was there."""
        told = self.calling.post("/v1/users", {"name": name, "email": email, **more}).json
        invitation = told["invitation"]
        invited = None if invitation is None else Invitation.of(_one(told, "invitation"))
        return _person(_one(told, "user")), invited

    def change_person(self, person: Person, **changes: str) -> Person:
        """Change a person of whom `person` is what was seen. Raises ChangedMeanwhile."""
        path = f"/v1/users/{quote(person.id)}"
        return _seen(self.calling.patch(path, changes, person.version or "*"))

    def close_person(self, user_id: str, reason: str) -> None:
        """End everything of a person who leaves, for ever."""
        self.calling.post(f"/v1/users/{quote(user_id)}:close", {"reason": reason})

    def invite(self, user_id: str) -> Invitation:
        """Invite one more phone of a person."""
        return Invitation.of(self.calling.post(f"/v1/users/{quote(user_id)}/invitations").json)

    def cards(self) -> Iterator[Card]:
        """All cards, by serial number; pages are fetched when they are needed."""
        for told in self._pages("/v1/cards", {}):
            yield from map(Card.of, _several(told, "cards"))

    def card(self, serial: str) -> Card:
        """One card."""
        return Card.of(self.calling.get(f"/v1/cards/{quote(serial)}").json)

    def issue(self, user_id: str, profile: str = "") -> Card:
        """Issue a card."""
        return Card.of(
            self.calling.post("/v1/cards", {"user_id": user_id, "profile": profile}).json
        )

    def suspend(self, serial: str) -> Card:
        """Take a card out of use."""
        return Card.of(self.calling.post(f"/v1/cards/{quote(serial)}:suspend").json)

    def resume(self, serial: str) -> Card:
        """Put a suspended card back in use."""
        return Card.of(self.calling.post(f"/v1/cards/{quote(serial)}:resume").json)

    def replace(self, serial: str, reason: str) -> Card:
        """Issue another card in the place of one that is lost, damaged or compromised, and return
        it. Repeated, it is the same card.
        """
        told = self.calling.post(f"/v1/cards/{quote(serial)}:replace", {"reason": reason}).json
        return Card.of(_one(told, "card"))

    def revoke(self, serial: str, reason: str, code: str = "unspecified") -> Card:
        """Take a card out of use for ever."""
        said = {"reason": reason, "code": code}
        return Card.of(self.calling.post(f"/v1/cards/{quote(serial)}:revoke", said).json)

    def _pages(self, path: str, wanted: Mapping[str, str]) -> Iterator[Told]:
        token: object = ""
        while token is not None:
            asked = {**wanted, "page_token": str(token)}
            query = urlencode({name: value for name, value in asked.items() if value})
            told = self.calling.get(f"{path}?{query}" if query else path)
            yield told
            token = told.json["next_page_token"]


def _person(told: Mapping[str, object]) -> Person:
    found = Person.of(told)
    return replace(found, cards=tuple(found.cards))


def _seen(told: Told) -> Person:
    """A person, with the version that the response has."""
    return replace(_person(told.json), version=told.fields.get("etag", ""))


def _one(told: Mapping[str, object], name: str) -> Mapping[str, object]:
    return cast("Mapping[str, object]", told[name])


def _several(told: Told, name: str) -> list[Mapping[str, object]]:
    return cast("list[Mapping[str, object]]", told.json[name])
