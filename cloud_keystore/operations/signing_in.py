"""The workstation's use cases of sign-ins: beginning one, looking at it, ending it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.approval import numbers, payload, qr
from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use.closing import end_sign_ins
from cloud_keystore.model.cards import Card, CardState
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import (
    IdentityRejected,
    RequestIdReused,
    SignInNotFound,
    TooManyRefusals,
)
from cloud_keystore.model.fields.emails import LONGEST_EMAIL
from cloud_keystore.model.fields.request_ids import REUSED, check_request_id
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import DECISION_TIME, QR_TIME, Channel
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.sign_ins import (
    MOST_FROM_WORKSTATION,
    MOST_PENDING,
    MOST_TO_PERSON,
    PUSH_WINDOW,
    SIGN_IN_TIME,
    SignIn,
    State,
    Why,
)
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.operations.asking import NONCE_BYTES, number_salt
from cloud_keystore.storage import cards, organisations, people, policies, sign_ins
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sign_ins import Which


@dataclass(frozen=True, slots=True)
class Seen:
    """A sign-in as its workstation may see it."""

    sign_in: SignIn
    state: State
    card_serial: str  # empty unless the card is in the reader
    qr_text: str  # empty if somebody was rung


@dataclass(frozen=True, slots=True)
class SigningIn:
    """The workstation's use cases. Of people it learns only who has approved."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    wake: Wake

    def begin(self, request_id: bytes, user: str, workstation: Identity) -> Seen:
        """Begin a sign-in: ring a user by account name or e-mail address, or show a code. Nobody is
        rung if there is no such user, or nobody may be rung; the answer is the same.

        Raises InvalidInput, TooManyRefusals, RequestIdReused, and IdentityRejected if the
        workstation was removed during the call.
        """
        check_request_id(request_id)
        user = text_field("user", user, LONGEST_EMAIL, required=False)
        channel = Channel.PUSH if user else Channel.QR
        now = self.clock()
        with self.database.write() as connection:
            if not people.is_active(connection, workstation.id, now):
                raise IdentityRejected("this workstation was removed: enrol it again")
            made = sign_ins.find_by_request(connection, workstation.id, request_id)
            if made is not None:
                if made.channel is not channel:
                    raise RequestIdReused(REUSED)
                return self._seen(connection, made)
            if channel is Channel.PUSH:
                _check_patience(connection, workstation, now)
            topics = self._make_room(connection, workstation, now)
            sign_in = self._new(request_id, channel, workstation, now)
            card = _rung(connection, user, now) if user else None
            if card is not None:
                holder = people.holder(connection, card)
                sign_in = bound(
                    self.seal, self.random, connection, sign_in, card, holder, workstation
                )
                topics.append(holder.id)
            sign_ins.add(connection, sign_in)
            details = {"channel": channel.name.lower()}
            asked = entries.about_asked(
                Kind.SIGN_IN_ASKED,
                sign_in,
                now,
                workstation.actor,
                details,
                {} if sign_in.payload is None else {"payload": sign_in.payload},
            )
            journal.append(connection, asked)
            seen = self._seen(connection, sign_in)
        self.wake(topics)
        return seen

    def find(self, sign_in_id: str, workstation: Identity) -> Seen:
        """A sign-in of this workstation; raises SignInNotFound."""
        with self.database.read() as connection:
            return self._seen(connection, _own(connection, sign_in_id, workstation))

    def end(self, sign_in_id: str, workstation: Identity) -> None:
        """End a sign-in, because the person leaves; one that has ended stays so. Raises
        SignInNotFound.
        """
        with self.database.write() as connection:
            found = _own(connection, sign_in_id, workstation)
            which = Which(sign_in_id=sign_in_id)
            now, actor = self.clock(), workstation.actor
            topics = end_sign_ins(connection, now, actor, Why.LEFT, which)
        self.wake([*topics, *([found.user_id] if found.user_id else [])])

    def _make_room(self, connection: Connection, workstation: Identity, now: datetime) -> list[str]:
        """End the oldest sign-ins that wait at a workstation, so that one more can."""
        topics: list[str] = []
        waiting = sign_ins.pending_at(connection, workstation.id, now)
        for sign_in_id in waiting[: max(len(waiting) - MOST_PENDING + 1, 0)]:
            which = Which(sign_in_id=sign_in_id)
            topics += end_sign_ins(connection, now, workstation.actor, Why.REPLACED, which)
        return topics

    def _new(
        self, request_id: bytes, channel: Channel, workstation: Identity, now: datetime
    ) -> SignIn:
        number = f"{int.from_bytes(self.random(8)) % numbers.NUMBERS:02}"
        return SignIn(
            id=new_id(now, self.random),
            request_id=request_id,
            workstation_id=workstation.id,
            channel=channel,
            number=number if channel is Channel.PUSH else "",
            state=State.PENDING,
            create_time=now,
            expire_time=now + DECISION_TIME,
            qr_expire_time=now + QR_TIME,
        )

    def _seen(self, connection: Connection, sign_in: SignIn) -> Seen:
        state = sign_in.seen_at(self.clock())
        card = None
        if state is State.OPEN and sign_in.card_id is not None:
            card = cards.find(connection, sign_in.card_id)
        by_code = sign_in.channel is Channel.QR
        return Seen(
            sign_in=sign_in,
            state=state,
            card_serial="" if card is None else card.serial,
            qr_text=qr.sign_in_text(sign_in.id, qr_secret(self.seal, sign_in.id))
            if by_code
            else "",
        )


def bound(
    seal: Seal,
    random: Random,
    connection: Connection,
    sign_in: SignIn,
    card: Card,
    holder: User,
    workstation: Identity,
) -> SignIn:
    """A sign-in with the card and its holder, and the payload that the holder is shown."""
    in_force = policies.in_force(connection, card.organisation_id, card.profile)
    asked = payload.AskedSignIn(
        sign_in_id=sign_in.id,
        card=card,
        user=holder,
        workstation=workstation,
        organisation=organisations.name(connection, card.organisation_id),
        policy=in_force.name,
        create_time=sign_in.create_time,
        expire_time=sign_in.expire_time,
        nonce=random(NONCE_BYTES),
        number_commitment=numbers.commitment(number_salt(seal, sign_in.id), sign_in.number),
        request_id=sign_in.request_id,
        time=SIGN_IN_TIME,
    )
    encoded = payload.encode_sign_in(asked)
    return replace(sign_in, card_id=card.id, user_id=holder.id, payload=encoded)


def qr_secret(seal: Seal, sign_in_id: str) -> bytes:
    """Derive the secret of a sign-in's code, so that the database does not hold it."""
    return seal.derive("qr sign-in", sign_in_id.encode())[: qr.SECRET_BYTES]


def newest_in_use(connection: Connection, user_id: str) -> Card | None:
    """The active card of a person that was issued last; None without one."""
    own = [each for each in cards.list_all(connection, user_id) if each.state is CardState.ACTIVE]
    return own[-1] if own else None


def _rung(connection: Connection, user: str, now: datetime) -> Card | None:
    """The card of whoever is rung; None if nobody is."""
    found = people.named(connection, user)
    card = None if found is None else newest_in_use(connection, found.id)
    if found is None or card is None:
        return None
    in_force = policies.in_force(connection, card.organisation_id, card.profile)
    tried = sign_ins.in_vain(connection, now - PUSH_WINDOW, user_id=found.id)
    if Channel.PUSH not in in_force.policy.channels or tried >= MOST_TO_PERSON:
        return None
    return card


def _check_patience(connection: Connection, workstation: Identity, now: datetime) -> None:
    """Raise TooManyRefusals if a workstation has rung often in vain, whoever it was for."""
    tried = sign_ins.in_vain(connection, now - PUSH_WINDOW, workstation_id=workstation.id)
    if tried >= MOST_FROM_WORKSTATION:
        raise TooManyRefusals(
            f"{tried} sign-ins at this workstation came to nothing: scan the code instead, or wait "
            f"{PUSH_WINDOW.seconds // 60} min"
        )


def _own(connection: Connection, sign_in_id: str, workstation: Identity) -> SignIn:
    found = sign_ins.find(connection, sign_in_id)
    if found is None or found.workstation_id != workstation.id:
        raise SignInNotFound("this workstation has no such sign-in")
    return found
