"""The calls of a page about its own standing with the keystore: what each of them can, the next
certificate, and what its holder thinks of the card.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Header

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.fields.software import Compatibility, parse
from cloud_keystore.model.people import IDENTITY_LIFETIME, Identity
from cloud_keystore.people.callers import Callers
from cloud_keystore.people.renewing import Renewing
from cloud_keystore.people.surveys import Surveys
from cloud_keystore.web import models as m
from cloud_keystore.web.authenticator import Row
from cloud_keystore.web.calls import current
from cloud_keystore.web.gate import CALLS

CLIENT = "Cloudcard-Client"  # the field in which a page says what it is, as programs do
SIGN_IN, DOCUMENTS = "sign-in", "documents"  # what pages can show besides single uses
# Pages from before they said so can show both.
CAPABLE = frozenset({SIGN_IN, DOCUMENTS})
# What a page looks for before it shows it; the keystores before the first of them have none.
OFFERS = ("pin", "renewal", "rings", "seats", "sessions", "sign-ins", "survey")
PART = 3  # of its life, less than one in so many is left when a certificate is renewed


def capabilities(said: str) -> frozenset[str]:
    """What a page can show, by what it says of itself."""
    return frozenset(parse(said).capabilities) if said else CAPABLE


@dataclass(frozen=True, slots=True)
class StandingCalls:
    """Translates between JSON and use cases."""

    callers: Callers
    renewing: Renewing
    surveys: Surveys
    clock: Clock

    def rows(self) -> tuple[Row, ...]:
        """The calls."""
        return (
            Row("GET", f"{CALLS}terms", self.tell_terms),
            Row("POST", f"{CALLS}renewal", self.renew),
            Row("GET", f"{CALLS}survey", self.find_survey),
            Row("POST", f"{CALLS}survey", self.answer_survey),
        )

    def tell_terms(self, cloudcard_client: Annotated[str, Header()] = "") -> m.Terms:
        """What the keystore offers, to a page that says what it is, which is kept."""
        device = current().device
        self.callers.heard(cloudcard_client, device)
        compared = parse(cloudcard_client).compared()
        return m.Terms(
            offers=list(OFFERS),
            is_outdated=compared is Compatibility.OUTDATED,
            public_key=device.public_key or b"",
            renewal_is_due=renewal_is_due(device, self.clock()),
        )

    def renew(self, said: m.Renewing) -> m.Renewed:
        """The next certificate of the same key, which does not leave its browser."""
        return m.Renewed(certificate=self.renewing.renew_same(current().device, said.csr))

    def find_survey(self) -> m.Survey:
        """Whether the holder is asked, where a policy says so."""
        found = self.surveys.find(current().device)
        return m.Survey(is_due=found.is_due, card_serial=found.card_serial)

    def answer_survey(self, said: m.Answering) -> m.Answered:
        """Take an answer."""
        self.surveys.answer(said.score, said.comment, current().device)
        return m.Answered(is_answered=True)


def renewal_is_due(device: Identity, now: datetime) -> bool:
    """Whether the certificate of a device is to be renewed."""
    return device.expire_time is not None and device.expire_time - now < IDENTITY_LIFETIME / PART
