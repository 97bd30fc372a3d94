"""Policies: which ones hold, and setting those of organisations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Path, Query

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.operations import Channel
from cloud_keystore.model.policies import Policy, SessionTerms, Term
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.policies.explaining import Explained, Explaining
from cloud_keystore.rest import policy_models as m
from cloud_keystore.rest.calls import current
from cloud_keystore.rest.cards import Serial

WAYS: Mapping[Channel, m.Way] = {Channel.PUSH: "push", Channel.QR: "qr"}
DEMANDED: Mapping[Factor, m.Demanded] = {
    Factor.PHONE: "phone",
    Factor.SMS: "sms",
    Factor.PASSKEY: "passkey",
}
CHANNELS = {way: channel for channel, way in WAYS.items()}
# Members that belong to a term of another name.
TERM_OF = {
    "synced_passkeys": Term.PASSKEYS,
    "passkey_models": Term.PASSKEYS,
    "security_answers": Term.PASSWORDS,
    "portal_changes": Term.PASSWORDS,
    "portal_factors": Term.PASSWORDS,
}
SECOND = timedelta(seconds=1)

OrganisationId = Annotated[str, Path(max_length=64, description="Identifier.")]
UserId = Annotated[str, Path(max_length=64, description="Identifier.")]
Profile = Annotated[str, Query(max_length=64, description="Name of a card profile; empty: any.")]


@dataclass(frozen=True, slots=True)
class PolicyCalls:
    """What can be asked about policies."""

    organisations: Organisations
    explaining: Explaining

    def show_policy(
        self, organisation_id: OrganisationId, profile: Profile = ""
    ) -> m.EffectivePolicy:
        """The policy that holds for an organisation, and from where it has each term."""
        found = self.explaining.of_organisation(organisation_id, profile, actor=current().actor)
        return _effective(found)

    def show_policy_of_user(self, user_id: UserId) -> m.EffectivePolicy:
        """The policy that holds for a person, and from where it has each term."""
        return _effective(self.explaining.of_user(user_id, actor=current().actor))

    def show_policy_of_card(self, serial: Serial) -> m.EffectivePolicy:
        """The policy that holds for a card, and from where it has each term."""
        return _effective(self.explaining.of_card(serial, actor=current().actor))

    def set_policy(self, organisation_id: OrganisationId, asked: m.NewPolicy) -> m.EffectivePolicy:
        """Set the terms that are given, in place of those that the organisation has set. It holds
        at once, also for organisations below that inherit it.
        """
        given = asked.terms
        own = tuple(sorted({TERM_OF.get(name, name) for name in given.model_fields_set}))
        policy, caller = _policy(given), current().caller
        self.organisations.set_policy(
            organisation_id, asked.profile, policy, caller, own, tuple(asked.locked)
        )
        found = self.explaining.of_organisation(
            organisation_id, asked.profile, actor=current().actor
        )
        return _effective(found)


def _policy(given: m.SetTerms) -> Policy:
    return Policy(
        passwordless=given.passwordless,
        largest_batch=given.largest_batch,
        largest_commitment_batch=given.largest_commitment_batch,
        session=None
        if given.session is None
        else SessionTerms(given.session.most_uses, _seconds("session", given.session.seconds)),
        channels=frozenset(CHANNELS[each] for each in given.channels),
        passkeys=given.passkeys,
        synced_passkeys=given.synced_passkeys,
        passkey_models=frozenset(given.passkey_models),
        unlock_code_time=_seconds("unlock_code_seconds", given.unlock_code_seconds),
        survey_after=given.survey_after,
        portal_passwords=given.portal_passwords,
        security_answers=given.security_answers,
        portal_changes=given.portal_changes,
        portal_factors=frozenset(Factor(each) for each in given.portal_factors),
        refuses_puk=given.refuses_puk,
        shared_device_time=_seconds("shared_device_seconds", given.shared_device_seconds),
    )


def _seconds(name: str, number: int) -> timedelta:
    try:
        return number * SECOND
    except OverflowError:
        raise InvalidInput(f"{name} has too many seconds: 43200 are the most") from None


def _effective(found: Explained) -> m.EffectivePolicy:
    policy = found.version.policy
    return m.EffectivePolicy(
        organisation_id=found.organisation_id,
        profile=found.profile,
        policy=found.version.name,
        set=found.version.create_time,
        terms=m.Terms(
            passwordless=policy.passwordless,
            largest_batch=policy.largest_batch,
            largest_commitment_batch=policy.largest_commitment_batch,
            session=None
            if policy.session is None
            else m.Session(
                most_uses=policy.session.most_uses, seconds=policy.session.time // SECOND
            ),
            channels=[WAYS[each] for each in sorted(policy.channels)],
            passkeys=policy.passkeys,
            synced_passkeys=policy.synced_passkeys,
            passkey_models=sorted(policy.passkey_models),
            unlock_code_seconds=policy.unlock_code_time // SECOND,
            survey_after=policy.survey_after,
            portal_passwords=policy.portal_passwords,
            security_answers=policy.security_answers,
            portal_changes=policy.portal_changes,
            portal_factors=[DEMANDED[each] for each in sorted(policy.portal_factors)],
            refuses_puk=policy.refuses_puk,
            shared_device_seconds=policy.shared_device_time // SECOND,
        ),
        sources={
            term: m.TermSource(
                origin=source.origin.value,
                organisation_id=source.organisation_id or None,
                policy=source.policy or None,
                locked=source.locked,
            )
            for term, source in found.sources.items()
        },
    )
