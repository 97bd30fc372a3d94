"""The use cases of what holders prove, and of what they look after at the pages."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cloud_keystore.cards.own.holdings import Holdings
from cloud_keystore.cards.own.renewals import Renewals
from cloud_keystore.cards.prolonging import Prolonging
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.operations.admitting import Admitting
from cloud_keystore.operations.seats import Seats
from cloud_keystore.operations.sessions import Sessions
from cloud_keystore.people.portal.addresses import Addresses
from cloud_keystore.people.portal.assents import Assents
from cloud_keystore.people.portal.beginnings import Beginnings
from cloud_keystore.people.portal.factors import LogInFactors
from cloud_keystore.people.portal.own_passwords import OwnPasswords
from cloud_keystore.people.portal.passkeys import PortalPasskeys
from cloud_keystore.people.portal.passwords import Passwords
from cloud_keystore.people.portal.questions import Questions
from cloud_keystore.people.portal.reset_factors import ResetFactors
from cloud_keystore.people.portal.resets import PasscodeResets
from cloud_keystore.people.portal.second_phones import SecondPhones
from cloud_keystore.people.portal.short_codes import ShortCodes
from cloud_keystore.people.portal.visits import PortalVisits
from cloud_keystore.run.offering.hosts import log_in_party
from cloud_keystore.run.opening import Parts


@dataclass(frozen=True, slots=True)
class PortalUseCases:
    """Those of people's own."""

    addresses: Addresses
    second_phones: SecondPhones
    short_codes: ShortCodes
    portal_passwords: Passwords
    security_questions: Questions
    assents: Assents
    log_in_factors: LogInFactors
    portal_passkeys: PortalPasskeys
    portal_visits: PortalVisits
    beginnings: Beginnings
    own_passwords: OwnPasswords
    seats: Seats
    holdings: Holdings
    passcode_resets: PasscodeResets
    own_renewals: Renewals


def portal_use_cases(
    parts: Parts,
    passcodes: Passcodes,
    sessions: Sessions,
    admitting: Admitting,
    prolonging: Prolonging,
    wake: Wake,
) -> PortalUseCases:
    """Make the use cases of people's own from an open keystore."""
    questions = Questions(passcodes)
    addresses = Addresses(parts.database, parts.clock, os.urandom, parts.seal)
    seats = Seats(parts.database, parts.seal, parts.clock, os.urandom, wake)
    assents = Assents(parts.database, parts.clock, os.urandom, wake)
    passkeys = PortalPasskeys(assents, parts.seal, log_in_party(parts.settings))
    second = ResetFactors(assents, passkeys, parts.seal)
    passwords = Passwords(passcodes, questions, second)
    short_codes = ShortCodes(parts.people)
    return PortalUseCases(
        addresses=addresses,
        second_phones=SecondPhones(parts.people),
        short_codes=short_codes,
        portal_passwords=passwords,
        security_questions=questions,
        assents=assents,
        log_in_factors=LogInFactors(assents, parts.seal),
        portal_passkeys=passkeys,
        portal_visits=PortalVisits(passwords, assents, passkeys),
        beginnings=Beginnings(addresses, passwords, short_codes),
        own_passwords=OwnPasswords(passwords),
        seats=seats,
        holdings=Holdings(sessions, admitting, seats),
        passcode_resets=PasscodeResets(passcodes, assents),
        own_renewals=Renewals(prolonging, assents),
    )
