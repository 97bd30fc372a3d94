"""The use cases of the pages for people, and their making."""

from __future__ import annotations

from dataclasses import dataclass, fields

from cloud_keystore.cards.life import Life
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.custody.credentials.unlock_codes import UnlockCodes
from cloud_keystore.operations.admitting import Admitting
from cloud_keystore.operations.deciding import Deciding
from cloud_keystore.people.alerts import Alerts
from cloud_keystore.people.callers import Callers
from cloud_keystore.people.enrolment import Enrolment
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.run.offering.use_cases import MainUseCases


@dataclass(frozen=True, slots=True)
class WebUseCases:
    """Those of the pages for people, whose browsers can be devices."""

    callers: Callers
    announcing: Announcing
    enrolment: Enrolment
    deciding: Deciding
    admitting: Admitting
    alerts: Alerts
    cards: Life
    passcodes: Passcodes
    unlock_codes: UnlockCodes


def web_use_cases(main: MainUseCases, enrolment: Enrolment) -> WebUseCases:
    """Those of the main port that pages have too, and enrolment."""
    shared = [each.name for each in fields(WebUseCases) if each.name != "enrolment"]
    return WebUseCases(**{each: getattr(main, each) for each in shared}, enrolment=enrolment)
