"""Whether a card in a keystore's database is whole: all of one change, or nothing of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from hashlib import sha256

from asn1crypto import cms
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)
from sqlalchemy import Connection, text

from card_os import tlv
from card_os.piv.names import ObjectTag
from cloud_keystore.cards.contents import COVERED
from cloud_keystore.custody.backends.keys import key_context
from cloud_keystore.custody.credentials.data_objects import DataObjects
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.cards import Sealed
from cloud_keystore.model.clock import utc_now
from cloud_keystore.storage import cards
from cloud_keystore.storage.engine import Database


def faults(database: Database, seal: Seal, serial: str) -> list[str]:
    """What is wrong with a card, in words."""
    with database.read() as connection:
        card = cards.find_by_serial(connection, serial)
        assert card is not None
        objects = DataObjects(database, seal, utc_now, os.urandom).all_of(connection, card.id)
        return [
            *_objects(card.guid, objects),
            *_keys(connection, seal, card.id),
            *_operations(connection, card.id),
        ]


def _objects(guid: bytes, objects: Mapping[int, bytes]) -> Iterator[str]:
    chuid = objects.get(ObjectTag.CHUID)
    if chuid is not None and dict(tlv.decode(chuid))[0x34] != guid:
        yield "the CHUID names another card"
    if ObjectTag.SECURITY_OBJECT in objects and not hashes_are_true(objects):
        yield "the security object vouches for other objects"


def hashes_are_true(objects: Mapping[int, bytes]) -> bool:
    """Whether the security object is over the objects that are there."""
    signed = dict(tlv.decode(objects[ObjectTag.SECURITY_OBJECT]))[0xBB]
    content = cms.ContentInfo.load(signed)["content"]
    inside = content["encap_content_info"]["content"].contents
    return all(
        sha256(objects[tag]).digest() in inside for tag in COVERED.values() if tag in objects
    )


def _keys(connection: Connection, seal: Seal, card_id: str) -> Iterator[str]:
    for known in cards.keys(connection, card_id):
        key = cards.find_key(connection, known.id)
        if key is None or not isinstance(key.private, Sealed):
            yield f"key {known.key_ref:02X} is on the card and destroyed"
            continue
        private = load_der_private_key(seal.open(key.private.private, key_context(key.id)), None)
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if public != key.public_key:
            yield f"key {key.key_ref:02X} has another public key"
    query = text(
        "SELECT count(*) FROM key WHERE card_id = :card AND remove_time IS NOT NULL"
        " AND sealed_private IS NOT NULL"
    )
    if connection.execute(query, {"card": card_id}).scalar():
        yield "a key has left the card and is not destroyed"


def _operations(connection: Connection, card_id: str) -> Iterator[str]:
    query = text(
        "SELECT count(*) FROM operation JOIN key ON key.id = operation.key_id"
        " WHERE operation.card_id = :card AND operation.state IN (1, 2)"
        " AND key.remove_time IS NOT NULL"
    )
    if connection.execute(query, {"card": card_id}).scalar():
        yield "an operation waits for a key that has left the card"
