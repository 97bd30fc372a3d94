"""Operators' requests: what one asks for, and another one approves. It is done in the name of the
one who has asked, if that one may still do it, in the transaction that spends the approval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.cards.leaving import Leaving
from cloud_keystore.cards.life import Life
from cloud_keystore.cards.replacing import Replacing
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import (
    IdentityRejected,
    NotAllowed,
    RequestClosed,
    RequestNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity
from cloud_keystore.model.pki.revocation import RevocationReason
from cloud_keystore.model.policies import decode
from cloud_keystore.model.rights.requests import Action, Request, RequestState, Second
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.programs.mappings import Mappings, WantedMapping
from cloud_keystore.people.programs.operators import Operators
from cloud_keystore.people.rights.custom_roles import CustomRoles
from cloud_keystore.people.rights.four_eyes import FourEyes
from cloud_keystore.people.roles import Roles, Wish
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import requests


@dataclass(frozen=True, slots=True)
class RequestListing:
    """A request as lists show it."""

    request: Request
    state: RequestState
    organisation_name: str
    asked_by_name: str
    decided_by_name: str


@dataclass(frozen=True, slots=True)
class Requests:
    """Lists, approves and refuses requests."""

    database: Database
    clock: Clock
    cards: Life
    replacing: Replacing
    leaving: Leaving
    roles: Roles
    custom_roles: CustomRoles
    organisations: Organisations
    four_eyes: FourEyes
    mappings: Mappings
    operators: Operators

    def list_all(self, *, decided: bool, actor: Actor) -> list[RequestListing]:
        """The open requests of organisations that the actor sees, or all, oldest first."""
        now = self.clock()
        with acting.looking(self.database, actor, now) as by:
            by.need_somewhere(Right.VIEW)
            return [
                _listing(by, each)
                for each in requests.list_all(by.connection)
                if by.held.sees(each.wanted.organisation_id) and (decided or each.is_open(now))
            ]

    def approve(self, request_id: str, *, actor: Actor) -> RequestListing:
        """Approve what another operator has asked for, and do it.

        Raises RequestNotFound, RequestClosed, NotAllowed, and what the operation itself raises;
        then the request stays open.
        """
        now = self.clock()
        with acting.looking(self.database, actor, now) as by:
            made = _seen(by, request_id)
            by.need(made.wanted.right, made.wanted.organisation_id)
            _check_open(by, made)
            if made.asked_by == actor.id:
                raise NotAllowed(
                    "nobody approves what they have asked for: ask another operator",
                    made.wanted.right,
                    made.wanted.organisation_id,
                )
            who = _asking(by, made)
        try:
            _DONE[made.wanted.action](self, made.wanted.terms, who, Second(made.id, actor))
        except (NotAllowed, IdentityRejected):
            raise _void(who) from None
        with acting.looking(self.database, actor, now) as by:
            listing = _listing(by, requests.find(by.connection, made.id) or made)
        if listing.state is RequestState.OPEN:
            raise RequestClosed("this was done before, in another way: refuse it")
        return listing

    def refuse(self, request_id: str, *, actor: Actor) -> RequestListing:
        """Refuse a request, or take back one's own; raises RequestNotFound, RequestClosed,
        NotAllowed.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            made = _seen(by, request_id)
            if made.asked_by != actor.id:
                by.need(made.wanted.right, made.wanted.organisation_id)
            _check_open(by, made)
            refused = requests.decide(by.connection, made, RequestState.REFUSED, actor.id, now)
            told = entries.about_keystore(
                Kind.REQUEST_REFUSED, now, actor, acting.request_facts(made)
            )
            journal.append(by.connection, told)
            return _listing(by, refused)


def _revoke(our: Requests, terms: Mapping[str, str], who: Identity, second: Second) -> object:
    since = terms.get("invalid_time")
    return replace(our.cards, second=second).revoke(
        terms["card"],
        terms["reason"],
        RevocationReason(terms["code"]),
        None if since is None else datetime.fromisoformat(since),
        actor=who.actor,
    )


def _replace(our: Requests, terms: Mapping[str, str], who: Identity, second: Second) -> object:
    replacing = replace(our.replacing, second=second)
    return replacing.replace(terms["card"], terms["reason"], actor=who.actor)


def _close(our: Requests, terms: Mapping[str, str], who: Identity, second: Second) -> object:
    return replace(our.leaving, second=second).close(terms["user"], terms["reason"], who)


def _grant(our: Requests, terms: Mapping[str, str], who: Identity, second: Second) -> object:
    since, until = (terms.get(name) for name in ("from", "until"))
    wish = Wish(
        terms["identity"],
        terms["role"],
        terms["organisation"],
        None if since is None else datetime.fromisoformat(since),
        None if until is None else datetime.fromisoformat(until),
    )
    return replace(our.roles, second=second).grant(wish, actor=who.actor)


def _change_role(our: Requests, terms: Mapping[str, str], who: Identity, second: Second) -> object:
    custom_roles = replace(our.custom_roles, second=second)
    return custom_roles.change(
        terms["role"], terms["name"], terms["rights"].split(), actor=who.actor
    )


def _set_policy(our: Requests, terms: Mapping[str, str], who: Identity, second: Second) -> object:
    own = tuple(terms["own"].split()) if "own" in terms else None
    return replace(our.organisations, second=second).set_policy(
        terms["organisation"],
        terms["profile"],
        decode(terms["document"]),
        who,
        own,
        tuple(terms.get("locked", "").split()),
    )


def _set_four_eyes(
    our: Requests, terms: Mapping[str, str], who: Identity, second: Second
) -> object:
    four_eyes = replace(our.four_eyes, second=second)
    return four_eyes.require(terms["operations"].split(), terms["organisation"], actor=who.actor)


def _map_group(our: Requests, terms: Mapping[str, str], who: Identity, second: Second) -> object:
    until = terms.get("until")
    wanted = WantedMapping(
        terms["directory"],
        terms["named_by"],
        terms["group"],
        terms["role"],
        terms["organisation"],
        None if until is None else datetime.fromisoformat(until),
    )
    return replace(our.mappings, second=second).map_group(wanted, actor=who.actor)


def _identify(our: Requests, terms: Mapping[str, str], who: Identity, second: Second) -> object:
    return replace(our.operators, second=second).identify(
        terms["operator"],
        terms["user"],
        terms["organisation"],
        terms.get("subject", ""),
        actor=who.actor,
    )


_DONE: Mapping[Action, Callable[[Requests, Mapping[str, str], Identity, Second], object]] = (
    MappingProxyType(
        {
            Action.REVOKE_CARD: _revoke,
            Action.REPLACE_CARD: _replace,
            Action.CLOSE_USER: _close,
            Action.GRANT_ROLE: _grant,
            Action.CHANGE_ROLE: _change_role,
            Action.SET_POLICY: _set_policy,
            Action.SET_FOUR_EYES: _set_four_eyes,
            Action.MAP_GROUP: _map_group,
            Action.IDENTIFY_OPERATOR: _identify,
        }
    )
)


def _seen(by: Acting, request_id: str) -> Request:
    """A request that the actor sees; raises RequestNotFound."""
    found = requests.find(by.connection, request_id)
    if found is None or not by.held.sees(found.wanted.organisation_id):
        raise RequestNotFound("there is no such request: cloudcard ra request list")
    return found


def _check_open(by: Acting, made: Request) -> None:
    if not made.is_open(by.now):
        raise RequestClosed(f"this request is {made.state_at(by.now)}: ask for it again")


def _asking(by: Acting, made: Request) -> Identity:
    """Who has made a request, and may still do what it is about; raises RequestClosed."""
    who = people.find_identity(by.connection, made.asked_by)
    if who is None:
        raise RequestClosed("nobody asks for this any more: refuse it")
    try:
        theirs = acting.held_by(by.connection, who.actor, by.now)
    except IdentityRejected:
        raise _void(who) from None
    if not theirs.has(made.wanted.right, made.wanted.organisation_id):
        raise _void(who)
    return who


def _void(who: Identity) -> RequestClosed:
    return RequestClosed(
        f"{who.display_name}, who has asked for this, may not do it any more: refuse it"
    )


def _listing(by: Acting, request: Request) -> RequestListing:
    ids = [each for each in (request.asked_by, request.decided_by) if each]
    called = {each.id: each.display_name for each in people.with_identity_ids(by.connection, ids)}
    return RequestListing(
        request=request,
        state=request.state_at(by.now),
        organisation_name=organisations.name(by.connection, request.wanted.organisation_id),
        asked_by_name=called.get(request.asked_by, ""),
        decided_by_name=called.get(request.decided_by or "", ""),
    )
