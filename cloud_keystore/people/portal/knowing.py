"""Whom a name means at the portal. For a name that nobody has, the same is looked up, counted and
written as for one that somebody has, so that nobody learns by asking who is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from cloud_keystore.audit import budgets, entries
from cloud_keystore.audit.acting import Acting
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.errors import FactorNeeded, IdentityRejected, PortalClosed
from cloud_keystore.model.fields import emails
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.portal.passwords import LONGEST_NAME
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.policies import card_profiles
from cloud_keystore.people.portal import available
from cloud_keystore.storage import people, policies
from cloud_keystore.storage.enrolment import beginnings, tokens
from cloud_keystore.storage.rights import visits

OVER = "you are logged out: log in again"
NOBODY = User(id="", display_name="", email="", create_time=datetime(2026, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody who is called so, or NOBODY; and under what guesses and codes are counted."""

    who: str
    user: User
    policy: Policy

    @property
    def is_known(self) -> bool:
        """Whether there is such a person, who can use the portal."""
        return self.user is not NOBODY

    def entry(self, kind: Kind, by: Acting, details: dict[str, Detail]) -> Entry:
        """The entry of the journal about what was done in this name."""
        if self.is_known:
            return entries.about_user(kind, self.user, by.now, by.actor, details)
        return entries.about_keystore(kind, by.now, by.actor, details)


def checked(name: str) -> str:
    """A name in the form in which it is looked up; raises InvalidInput."""
    return text_field("name", name, LONGEST_NAME)


def named(by: Acting, name: str, seal: Seal) -> Named:
    """Whom an e-mail address or account name means, among those for whom the portal acts. Raises
    NotAllowed if it acts for nobody.
    """
    by.need_somewhere(Right.PORTAL)
    budgets.check(by.connection, by.actor, by.now)
    found = people.named(by.connection, name) or NOBODY
    policy = policy_of(by.connection, found)
    digest = seal.derive("portal name", emails.key(name).encode()).hex()
    if not (by.held.has(Right.PORTAL, found.organisation_id) and policy.portal_passwords):
        found = NOBODY
    return Named(found.id or digest, found, policy)


def policy_of(connection: Connection, user: User) -> Policy:
    """The policy in force for a person."""
    profile = card_profiles.of_user(connection, user).name
    return policies.in_force(connection, user.organisation_id, profile).policy


def owner(
    connection: Connection, device: Identity, now: datetime, *, is_enrolling: bool = False
) -> User:
    """The holder of a device that is still active, or of a visit at the portal that still goes on,
    or who begins there by an invitation. Raises IdentityRejected, UserNotFound, UserClosed, and
    FactorNeeded in a visit of somebody whose log-ins do not need what a policy demands, unless that
    `is_enrolling`.
    """
    budgets.check(connection, device.actor, now)
    if device.role is Role.HOLDER:
        secret = device.certificate_sha256 or b""
        made = visits.by_secret(connection, Role.HOLDER, secret)
        visits_now = made is not None and made.visitor_id == device.user_id and made.is_open(now)
        if not visits_now and not _begins(connection, device, secret, now):
            raise IdentityRejected(OVER)
        if visits_now and not is_enrolling:
            _check_factor(connection, people.present(connection, device.user_id or ""), now)
    elif not people.is_active(connection, device.id, now):
        raise IdentityRejected("this identity is unknown or was removed: enrol again")
    return people.present(connection, device.user_id or "")


def _check_factor(connection: Connection, user: User, now: datetime) -> None:
    demanded = policy_of(connection, user).portal_factors
    if demanded and available.in_force(connection, user, now) not in demanded:
        raise FactorNeeded(
            "your organisation demands more than a mailed code for log-ins: choose it first (How "
            "you log in)"
        )


def _begins(connection: Connection, holder: Identity, secret: bytes, now: datetime) -> bool:
    """Whether a holder begins at the pages by an invitation, which is open or has been used."""
    made = beginnings.by_secret(connection, secret)
    if made is None or not made.is_open(now):
        return False
    invited = people.find_identity(connection, made.device_id)
    if invited is None or invited.user_id != holder.user_id:
        return False
    terms = tokens.terms(connection, [invited.id])[invited.id]
    is_waiting = invited.state is IdentityState.INVITED and now < terms.expire_time
    return is_waiting or invited.is_active(now)


def check_offered(policy: Policy) -> None:
    """Raise PortalClosed if a policy allows no passwords."""
    if not policy.portal_passwords:
        raise PortalClosed(
            "your organisation has no passwords for the portal: ask your registration authority "
            "(cloudcard ra policy set --portal-passwords)"
        )
