"""Renewing cards that an authority outside of the keystore certifies: it is asked for certificates
of new keys, under the same names, and the card stays as it is until all of these have come.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509
from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.cards import renewed
from cloud_keystore.cards.renewal import Renewal
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import Card, CardEvent, HeldKey, Key
from cloud_keystore.model.errors import IllegalCardChange
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.people import User
from cloud_keystore.model.pki.external import Csr, Standing
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.pki import csrs, external
from cloud_keystore.pki.certificates import Subject
from cloud_keystore.storage import cards
from cloud_keystore.storage.issuing import csrs as rows
from cloud_keystore.storage.issuing import custom_profiles, est_servers, next_keys


def requests(
    card: Card,
    user: User,
    before: Mapping[int, Key],
    made: Sequence[HeldKey],
    present: Mapping[str, Csr],
    custody: Keys,
) -> list[Csr]:
    """What is asked for keys in the places of others, `before`, by reference, of which `present`
    tells what was asked. Raises what using the keys raises.
    """
    templates = {each.key_ref: each.certificate for each in PROFILES[card.profile].keys}
    return [
        Csr(
            key_id=key.id,
            card_id=card.id,
            authority_id=present[before[key.key_ref].id].authority_id,
            csr=csrs.build(
                templates[key.key_ref],
                Subject(card, user),
                key,
                custody,
                external.read(before[key.key_ref].certificate),
            ),
            public_sha256=sha256(key.public_key).digest(),
            create_time=key.create_time,
            standing=Standing.NEXT,
        )
        for key in made
    ]


def check_names(
    connection: Connection, card: Card, user: User, due: Collection[Key], asked: Mapping[str, Csr]
) -> None:
    """Raise IllegalCardChange if the holder is named otherwise by now than the card's certificates
    say: what is renewed has the same names (RFC 7030, 4.2.2).
    """
    templates = {each.key_ref: each.certificate for each in PROFILES[card.profile].keys}
    account = csrs.account(user)
    for key in due:
        certificate, before = external.read(key.certificate), asked[key.id]
        server = est_servers.find(connection, before.authority_id)
        has = csrs.names(certificate)
        then = csrs.names(x509.load_der_x509_csr(before.csr))
        now = csrs.names_now(templates[key.key_ref], Subject(card, user))
        # An authority can give names of its own, which nobody here can compare.
        own = has != then or (server is not None and server.server.any_subject)
        if (has != now and not own) or not csrs.accounts(certificate) <= account:
            raise IllegalCardChange(
                f"the holder of card {card.serial} has another name or account by now, and "
                "certificates of another authority are renewed under the same names alone: "
                "replace the card"
            )


def begin(
    connection: Connection,
    card: Card,
    made: Sequence[HeldKey],
    asked: Sequence[Csr],
    authority: str,
    now: datetime,
    actor: Actor,
) -> None:
    """Keep keys that are to take the places of others, and what is asked for them."""
    for key in made:
        next_keys.add(connection, key)
    rows.add(connection, asked)
    said: dict[str, Detail] = {"authority": authority}
    said |= {f"key_{key.key_ref:02X}": key.id for key in made}
    journal.append(connection, entries.about_card(Kind.RENEWAL_BEGUN, card, now, actor, said))


def finish(
    connection: Connection, renewal: Renewal, card: Card, now: datetime, actor: Actor
) -> list[str]:
    """Renew a card in use with the certificates that have come for all its next keys, until the
    first of these ends. Returns the topics to wake; raises IllegalCardChange.
    """
    if not cards.move(connection, card.id, CardEvent.RENEW):
        raise renewed.out_of_use(card)
    keys, days = [], custom_profiles.made_of(connection, card).validity_days
    ends = [now.replace(microsecond=0) + timedelta(days=days)]
    for each in rows.of_card(connection, card.id, Standing.NEXT):
        key = cards.find_key(connection, each.key_id)
        if key is None:
            raise IllegalCardChange(f"card {card.serial} lacks a key that it is to have")
        keys.append(replace(key, certificate=each.certificate))
        ends.append(external.read(each.certificate).not_valid_after_utc)
    topics = renewed.close(connection, card, now)
    changes = renewal.succeed(connection, card, keys, min(ends))
    rows.succeed(connection, card.id)
    renewed.tell(connection, card, changes, now, actor)
    return [card.user_id, *topics]
