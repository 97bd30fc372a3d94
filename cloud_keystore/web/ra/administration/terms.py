"""The terms of policies as people read and set them: one row for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.operations import Channel
from cloud_keystore.model.policies import (
    MOST_BEFORE_SURVEY,
    MOST_INPUTS,
    MOST_MODELS,
    MOST_SESSION_USES,
    Policy,
    SessionTerms,
    Term,
)
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.model.portal.questions import MOST_NEEDED
from cloud_keystore.web.ra.forms import Field, Shape
from cloud_keystore.web.visiting import given

MINUTE = timedelta(minutes=1)
NUMBER_DIGITS = 6
YES: Mapping[str, str] = MappingProxyType({"yes": "Yes", "no": "No"})
WAYS: Mapping[str, str] = MappingProxyType({"PUSH": "On the phone by itself", "QR": "By a QR code"})
FACTORS: Mapping[str, str] = MappingProxyType(
    {"phone": "A yes of the phone", "passkey": "A passkey", "sms": "A code by SMS"}
)


class Words(NamedTuple):
    """A term: what people call it, its value in words, how it is asked for, and a policy with what
    an answer says; that raises InvalidInput.
    """

    label: str
    shown: Callable[[Policy], str]
    fields: Callable[[Policy], Sequence[Field]]
    answered: Callable[[Policy], Policy]


def _flag(
    label: str,
    name: str,
    hint: str,
    is_so: Callable[[Policy], bool],
    put: Callable[[Policy, bool], Policy],
) -> Words:
    """A term that is true or not."""
    return Words(
        label,
        lambda policy: _yes(is_so(policy)),
        lambda policy: (_choice(name, label, is_so(policy), hint),),
        lambda policy: put(policy, _said(name)),
    )


def _count(
    label: str,
    name: str,
    hint: str,
    count: Callable[[Policy], int],
    put: Callable[[Policy, int], Policy],
) -> Words:
    """A term that is a number."""
    return Words(
        label,
        lambda policy: str(count(policy)),
        lambda policy: (Field(name, label, hint, value=str(count(policy))),),
        lambda policy: put(policy, _number(name)),
    )


def _session(policy: Policy) -> str:
    session = policy.session
    if session is None:
        return "None"
    return f"{session.most_uses} uses within {session.time // MINUTE} minutes"


def _session_fields(policy: Policy) -> Sequence[Field]:
    session = policy.session
    uses, minutes = (
        ("", "") if session is None else (str(session.most_uses), str(session.time // MINUTE))
    )
    return (
        Field("uses", "Uses", f"At most {MOST_SESSION_USES}. Empty: no sessions.", value=uses),
        Field("minutes", "Minutes", "At most 720. Empty: no sessions.", value=minutes),
    )


def _with_session(policy: Policy) -> Policy:
    if not given("uses") and not given("minutes"):
        return replace(policy, session=None)
    terms = SessionTerms(_number("uses"), _number("minutes") * MINUTE)
    return replace(policy, session=terms)


def _channels(policy: Policy) -> Sequence[Field]:
    value = " ".join(sorted(each.name for each in policy.channels))
    return (Field("ways", "Ways to the holder", "", WAYS, value, Shape.SEVERAL),)


def _with_channels(policy: Policy) -> Policy:
    (field,) = _channels(policy)
    return replace(policy, channels=frozenset(Channel[each] for each in field.answer.split()))


def _passkeys(policy: Policy) -> str:
    if not policy.passkeys:
        return "No"
    models = f", of {len(policy.passkey_models)} models" if policy.passkey_models else ""
    return f"Yes{', synced ones too' if policy.synced_passkeys else ''}{models}"


def _passkey_fields(policy: Policy) -> Sequence[Field]:
    return (
        _choice("passkeys", "Passkeys", policy.passkeys),
        _choice("synced", "Passkeys that are synced between devices", policy.synced_passkeys),
        Field(
            "models",
            "Models",
            "Their AAGUIDs, with blanks between them. Empty: all.",
            value=" ".join(sorted(policy.passkey_models)),
            longest=40 * MOST_MODELS,
        ),
    )


def _with_passkeys(policy: Policy) -> Policy:
    return replace(
        policy,
        passkeys=_said("passkeys"),
        synced_passkeys=_said("synced"),
        passkey_models=frozenset(given("models").lower().split()),
    )


def _passwords(policy: Policy) -> str:
    if not policy.portal_passwords:
        return "No"
    changes = "" if policy.portal_changes else "; no passcodes and renewals there"
    demanded = " or ".join(
        text for name, text in FACTORS.items() if Factor(name) in policy.portal_factors
    )
    factors = f"; log-ins need {demanded[:1].lower()}{demanded[1:]}" if demanded else ""
    return f"Yes, {policy.security_answers} security answers to set another one{changes}{factors}"


def _password_fields(policy: Policy) -> Sequence[Field]:
    return (
        _choice("portal_passwords", "Passwords for the portal", policy.portal_passwords),
        Field(
            "security_answers",
            "Security answers",
            f"How many are needed to set another password, at most {MOST_NEEDED}.",
            value=str(policy.security_answers),
        ),
        _choice(
            "portal_changes",
            "Passcodes and renewals at the portal",
            policy.portal_changes,
            "Each with the yes of the holder's phone.",
        ),
        _factors(policy),
    )


def _factors(policy: Policy) -> Field:
    return Field(
        "portal_factors",
        "Log-ins at the portal have to need one of these",
        "Holders choose it at their next log-in. None: a mailed code is enough.",
        FACTORS,
        " ".join(sorted(policy.portal_factors)),
        Shape.SEVERAL,
    )


def _with_passwords(policy: Policy) -> Policy:
    return replace(
        policy,
        portal_passwords=_said("portal_passwords"),
        security_answers=_number("security_answers"),
        portal_changes=_said("portal_changes"),
        portal_factors=frozenset(Factor(each) for each in _factors(policy).answer.split()),
    )


def _code_fields(policy: Policy) -> Sequence[Field]:
    value = str(policy.unlock_code_time // MINUTE)
    return (Field("minutes", "Minutes", "5 to 720.", value=value),)


WORDS: Mapping[Term, Words] = MappingProxyType(
    {
        Term.PASSWORDLESS: _flag(
            "Without passcode",
            "passwordless",
            "Signatures with key 9C always need it.",
            lambda policy: policy.passwordless,
            lambda policy, value: replace(policy, passwordless=value),
        ),
        Term.BATCH: _count(
            "Inputs of one approval",
            "largest_batch",
            f"At most {MOST_INPUTS}.",
            lambda policy: policy.largest_batch,
            lambda policy, value: replace(policy, largest_batch=value),
        ),
        Term.COMMITMENT: _count(
            "Signatures of one approval",
            "largest_commitment_batch",
            f"At most {MOST_INPUTS}.",
            lambda policy: policy.largest_commitment_batch,
            lambda policy, value: replace(policy, largest_commitment_batch=value),
        ),
        Term.SESSION: Words("Sessions", _session, _session_fields, _with_session),
        Term.CHANNELS: Words(
            "Ways to the holder",
            lambda policy: ", ".join(
                text for name, text in WAYS.items() if Channel[name] in policy.channels
            ),
            _channels,
            _with_channels,
        ),
        Term.PASSKEYS: Words("Passkeys", _passkeys, _passkey_fields, _with_passkeys),
        Term.CODE_TIME: Words(
            "Unlock codes are good for",
            lambda policy: f"{policy.unlock_code_time // MINUTE} minutes",
            _code_fields,
            lambda policy: replace(policy, unlock_code_time=_number("minutes") * MINUTE),
        ),
        Term.SURVEY: _count(
            "Uses before the survey",
            "survey_after",
            f"After how many log-ins, at most {MOST_BEFORE_SURVEY}, holders are asked how they "
            "like the card. 0: never.",
            lambda policy: policy.survey_after,
            lambda policy, value: replace(policy, survey_after=value),
        ),
        Term.PASSWORDS: Words(
            "Passwords for the portal", _passwords, _password_fields, _with_passwords
        ),
        Term.REFUSES_PUK: _flag(
            "Workstations take no PUK",
            "refuses_puk",
            "Another PIN is chosen on the phone alone.",
            lambda policy: policy.refuses_puk,
            lambda policy, value: replace(policy, refuses_puk=value),
        ),
        Term.SHARED_DEVICES: _count(
            "Minutes at a shared device",
            "shared_device_minutes",
            "How long holders can be signed in to a device that several share, 5 to 720. "
            "0: not at all.",
            lambda policy: policy.shared_device_time // MINUTE,
            lambda policy, value: replace(policy, shared_device_time=value * MINUTE),
        ),
    }
)


def _choice(name: str, label: str, value: bool, hint: str = "") -> Field:
    return Field(name, label, hint, YES, "yes" if value else "no")


def _yes(value: bool) -> str:
    return YES["yes" if value else "no"]


def _said(name: str) -> bool:
    if given(name) not in YES:
        raise InvalidInput(f"{name} is neither yes nor no: choose one")
    return given(name) == "yes"


def _number(name: str) -> int:
    text = given(name)
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS):
        raise InvalidInput(f"{name.replace('_', ' ')} is no number: give one such as 1")
    return int(text)
