"""Policies: what the use of a card's keys requires of its holder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.operations import Channel
from cloud_keystore.model.passcodes import CODE_TIME, LONGEST_CODE_TIME
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.model.portal.questions import MOST_NEEDED

MOST_INPUTS = 250  # of one batch
LONGEST_SESSION = timedelta(hours=12)
SHORTEST_SESSION = timedelta(seconds=1)
MOST_SESSION_USES = 100_000
COMMITMENT = "largest_commitment_batch"
MODELS = "passkey_models"
CODE_SECONDS = "unlock_code_seconds"
SURVEY = "survey_after"
PASSWORDS = "portal_passwords"
ANSWERS = "security_answers"
CHANGES = "portal_changes"
FACTORS = "portal_factors"
REFUSES_PUK = "refuses_puk"
SHARED_DEVICES = "shared_device_seconds"
# Terms that documents of before did not know
ADDED = frozenset(
    {
        *(COMMITMENT, MODELS, CODE_SECONDS, SURVEY, PASSWORDS),
        *(ANSWERS, CHANGES, FACTORS, REFUSES_PUK, SHARED_DEVICES),
    }
)
MOST_BEFORE_SURVEY = 1000  # authentications
SHORTEST_CODE_TIME = timedelta(minutes=5)
MOST_MODELS = 100
NO_SEATS = timedelta(0)
SHORTEST_SEAT, LONGEST_SEAT = timedelta(minutes=5), timedelta(hours=12)
AAGUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
UNKNOWN_MODEL = "00000000-0000-0000-0000-000000000000"  # of authenticators that tell no model


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """The terms of a session: at most this many inputs, within this time."""

    most_uses: int
    time: timedelta

    def __post_init__(self) -> None:
        if not 1 <= self.most_uses <= MOST_SESSION_USES:
            raise InvalidInput(f"a session has 1 to {MOST_SESSION_USES} uses")
        if not SHORTEST_SESSION <= self.time <= LONGEST_SESSION:
            longest = LONGEST_SESSION // SHORTEST_SESSION
            raise InvalidInput(f"a session lasts 1 to {longest} seconds")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy; the default values hold where no policy was set."""

    passwordless: bool = False
    largest_batch: int = 1
    largest_commitment_batch: int = 1  # of keys for content commitment
    session: SessionTerms | None = None
    channels: frozenset[Channel] = frozenset(Channel)
    passkeys: bool = True
    synced_passkeys: bool = False
    # AAGUIDs: if there are any, only passkeys approve whose maker attests one of them.
    passkey_models: frozenset[str] = frozenset()
    unlock_code_time: timedelta = CODE_TIME  # for which a code is good that an operator makes
    survey_after: int = 0  # authentications after which holders are asked for an NPS; 0: never
    portal_passwords: bool = False  # whether holders can have a password for the portal
    security_answers: int = 0  # right ones, besides a code by e-mail, to set another password
    portal_changes: bool = False  # whether they choose passcodes and renew cards there
    # If there are any, who has logged in there does nothing before log-ins need one of them.
    portal_factors: frozenset[Factor] = frozenset()
    refuses_puk: bool = False  # at workstations: another PIN is chosen on the holder's phone alone
    # How long a holder can be signed in to a device that several share; zero: not at all.
    shared_device_time: timedelta = NO_SEATS

    def __post_init__(self) -> None:
        for largest in (self.largest_batch, self.largest_commitment_batch):
            if not 1 <= largest <= MOST_INPUTS:
                raise InvalidInput(f"one approval covers 1 to {MOST_INPUTS} inputs")
        if not self.channels:
            raise InvalidInput("a policy allows at least one way to the holder")
        if not SHORTEST_CODE_TIME <= self.unlock_code_time <= LONGEST_CODE_TIME:
            raise InvalidInput("an unlock code is good for 5 minutes to 12 hours")
        if not 0 <= self.survey_after <= MOST_BEFORE_SURVEY:
            raise InvalidInput(f"holders are asked after 1 to {MOST_BEFORE_SURVEY} uses, or never")
        lasts = self.shared_device_time
        if lasts != NO_SEATS and not SHORTEST_SEAT <= lasts <= LONGEST_SEAT:
            raise InvalidInput("somebody is signed in to a shared device for 5 minutes to 12 hours")
        if not 0 <= self.security_answers <= MOST_NEEDED:
            raise InvalidInput(f"at most {MOST_NEEDED} security answers are needed")
        if self.security_answers and not self.portal_passwords:
            raise InvalidInput("a policy without portal passwords needs no security answers")
        if self.portal_changes and not self.portal_passwords:
            raise InvalidInput("a policy without portal passwords allows no changes at the portal")
        if self.portal_factors and not self.portal_passwords:
            raise InvalidInput("a policy without portal passwords demands nothing at log-ins there")
        if Factor.EMAIL in self.portal_factors:
            raise InvalidInput("log-ins at the portal need a mailed code if nothing is demanded")
        if self.passkey_models and not self.passkeys:
            raise InvalidInput("a policy without passkeys names no models of them")
        if len(self.passkey_models) > MOST_MODELS:
            raise InvalidInput(f"a policy names at most {MOST_MODELS} models of passkeys")
        for model in self.passkey_models:
            if not AAGUID.fullmatch(model) or model == UNKNOWN_MODEL:
                raise InvalidInput(
                    f"{model!r} is no model of a passkey: give its AAGUID, such as "
                    "2fc0579f-8113-47ea-b116-bb5a8db9202a"
                )


@unique
class Term(StrEnum):
    """What an organisation sets for itself, or inherits: one value of a policy, or several that
    only make sense together.
    """

    PASSWORDLESS = "passwordless"
    BATCH = "largest_batch"
    COMMITMENT = COMMITMENT
    SESSION = "session"
    CHANNELS = "channels"
    PASSKEYS = "passkeys"
    CODE_TIME = CODE_SECONDS
    SURVEY = SURVEY
    PASSWORDS = PASSWORDS
    REFUSES_PUK = REFUSES_PUK
    SHARED_DEVICES = SHARED_DEVICES


EVERY_TERM = frozenset(Term)


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A policy and its scope: an empty organisation or profile means all of them. `own` are the
    terms that are set there; the others are inherited from above.
    """

    organisation_id: str
    profile: str
    version: int
    policy: Policy
    create_time: datetime | None = None  # None for version 0, the default
    own: frozenset[Term] = EVERY_TERM
    here_alone: bool = False  # as those from before organisations inherited
    locked: frozenset[Term] = frozenset()  # own ones that nobody below sets otherwise

    @property
    def name(self) -> str:
        """Its name in payloads and in the journal, such as "default/v2/3"."""
        return f"{self.organisation_id or '*'}/{self.profile or '*'}/{self.version}"


def encode(policy: Policy) -> str:
    """Encode a policy as the document that is stored: JSON with sorted members."""
    session = policy.session
    document = {
        "passwordless": policy.passwordless,
        "largest_batch": policy.largest_batch,
        COMMITMENT: policy.largest_commitment_batch,
        "session": None
        if session is None
        else {"most_uses": session.most_uses, "seconds": session.time // SHORTEST_SESSION},
        "channels": sorted(channel.name for channel in policy.channels),
        "passkeys": policy.passkeys,
        "synced_passkeys": policy.synced_passkeys,
        MODELS: sorted(policy.passkey_models),
        CODE_SECONDS: policy.unlock_code_time // SHORTEST_SESSION,
        SURVEY: policy.survey_after,
        PASSWORDS: policy.portal_passwords,
        ANSWERS: policy.security_answers,
        CHANGES: policy.portal_changes,
        FACTORS: sorted(policy.portal_factors),
        REFUSES_PUK: policy.refuses_puk,
        SHARED_DEVICES: policy.shared_device_time // SHORTEST_SESSION,
    }
    return _written(document)


def decode(document: str) -> Policy:
    """Decode a document. The meaning of a policy is never guessed: raises InvalidInput for a
    document that `encode` would not have written, now or when it knew fewer of its terms.
    """
    try:
        kept = json.loads(document)
        batch = kept["largest_batch"]
        session = kept["session"]
        policy = Policy(
            passwordless=_flag(kept["passwordless"]),
            largest_batch=_number(batch),
            largest_commitment_batch=_number(kept.get(COMMITMENT, batch)),
            session=None
            if session is None
            else SessionTerms(
                _number(session["most_uses"]), _number(session["seconds"]) * SHORTEST_SESSION
            ),
            channels=frozenset(Channel[name] for name in kept["channels"]),
            passkeys=_flag(kept["passkeys"]),
            synced_passkeys=_flag(kept["synced_passkeys"]),
            passkey_models=frozenset(_text(each) for each in kept.get(MODELS, ())),
            unlock_code_time=_number(kept.get(CODE_SECONDS, CODE_TIME // SHORTEST_SESSION))
            * SHORTEST_SESSION,
            survey_after=_number(kept.get(SURVEY, 0)),
            portal_passwords=_flag(kept.get(PASSWORDS, False)),
            security_answers=_number(kept.get(ANSWERS, 0)),
            portal_changes=_flag(kept.get(CHANGES, False)),
            portal_factors=frozenset(Factor(_text(each)) for each in kept.get(FACTORS, ())),
            refuses_puk=_flag(kept.get(REFUSES_PUK, False)),
            shared_device_time=_number(kept.get(SHARED_DEVICES, 0)) * SHORTEST_SESSION,
        )
        again = json.loads(encode(policy))
        strict = _written({name: again[name] for name in again.keys() & kept.keys()}) == document
        strict = strict and again.keys() - kept.keys() <= ADDED
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        strict = False
    if not strict:
        raise InvalidInput("this is no policy of this version of the keystore")
    return policy


def _written(document: Mapping[str, object]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value
