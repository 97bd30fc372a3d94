"""Objects that require the PIN are sealed, and given out only against a proof of the passcode.

The attacks: their contents stood in the database, and each enrolled workstation got them with the
card's image, by nothing but the card's serial number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from sqlalchemy import Connection, select, text, update

from card_os.piv.names import KeyRef, ObjectTag
from card_os.piv.rules import PIN_OBJECTS
from cloud_keystore.cards.administration import Administrator
from cloud_keystore.custody.sealing.seal import SealBroken
from cloud_keystore.model.cards import StoredObject
from cloud_keystore.model.errors import (
    CardNotInUse,
    ObjectNotFound,
    PasscodeNeeded,
    RecordDamaged,
    RowNotAuthentic,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.passcodes import PROOF_TIME
from cloud_keystore.model.people import User
from cloud_keystore.rpc import card_image
from cloud_keystore.storage import cards, data_objects
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic.declaring import metadata
from support.keystore_world import OPERATOR, PASSCODE, Enrolled, World

SECRET = b"the holder's own \x07\x07\x07\x07"
PRINTED = ObjectTag.PRINTED_INFORMATION


@pytest.fixture
def serial(world: World, ada: tuple[User, Enrolled]) -> str:
    return world.card(ada[0], "developer")


@pytest.fixture
def admin(world: World, serial: str, pc: Enrolled) -> Administrator:
    return world.administrator(serial, pc)


def write(world: World, admin: Administrator, contents: bytes = SECRET) -> None:
    world.administration.write_object(admin, PRINTED, contents)


def read(world: World, serial: str, proof: bytes, pc: Enrolled, tag: int = PRINTED) -> bytes:
    return world.data_objects.read(serial, tag, proof, pc.identity)


def everything(world: World) -> bytes:
    """What somebody who reads the whole database gets."""
    with world.database.read() as connection:
        rows = [
            row for table in metadata.sorted_tables for row in connection.execute(select(table))
        ]
    values = [value for row in rows for value in row]
    return b"\0".join(
        value if isinstance(value, bytes) else str(value).encode() for value in values
    )


def in_the_clear(world: World, serial: str, tag: int = PRINTED) -> None:
    """Leave an object as it was before objects were sealed."""
    with world.database.write() as connection:
        data_objects.put(connection, cards.named(connection, serial).id, StoredObject(tag, SECRET))


def told(world: World) -> list[Kind]:
    """The journal's kinds, the newest first."""
    query = select(t.journal.c.kind).order_by(t.journal.c.id.desc())
    with world.database.read() as connection:
        return [Kind(kind) for kind in connection.execute(query).scalars()]


@pytest.mark.parametrize("tag", PIN_OBJECTS)
def test_a_thief_of_the_database_reads_none(
    world: World, serial: str, admin: Administrator, tag: int
) -> None:
    world.administration.write_object(admin, tag, SECRET)
    assert SECRET not in everything(world)
    assert world.contents(serial)[tag] == SECRET


def test_one_that_the_keystore_makes_is_sealed_too(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    printed = world.contents(world.card(ada[0]))[PRINTED]
    assert b"Ada Byron" in printed
    assert printed not in everything(world)


def test_a_workstation_gets_none_with_the_cards_image(
    world: World, serial: str, admin: Administrator
) -> None:
    changes = world.administration.write_object(admin, PRINTED, SECRET)
    answer = card_image.changes(changes)
    whole = card_image.card(world.image(serial))
    assert list(answer.withheld_objects) == list(whole.withheld_objects) == [PRINTED]
    assert SECRET not in answer.SerializeToString() + whole.SerializeToString()


def test_a_proof_of_the_passcode_gets_it_again_and_again(
    world: World, serial: str, admin: Administrator, pc: Enrolled
) -> None:
    write(world, admin)
    proof = world.proof(serial, pc)
    assert [read(world, serial, proof, pc) for _ in range(2)] == [SECRET, SECRET]
    assert told(world)[:2] == [Kind.CARD_READ, Kind.CARD_READ]


def test_a_workstation_without_a_proof_gets_none(
    world: World, serial: str, admin: Administrator, pc: Enrolled
) -> None:
    write(world, admin)
    world.proof(serial, pc)
    for proof in (b"", bytes(32), admin.proof):
        with pytest.raises(PasscodeNeeded):
            read(world, serial, proof, pc)
    assert Kind.CARD_READ not in told(world)


def test_the_proof_of_another_card_or_workstation(
    world: World, ada: tuple[User, Enrolled], serial: str, admin: Administrator, pc: Enrolled
) -> None:
    write(world, admin)
    elsewhere = world.workstation("WARD8-PC1")
    for proof, at in (
        (world.proof(world.card(ada[0], "developer"), pc), pc),
        (world.proof(serial, elsewhere), pc),
        (world.proof(serial, pc), elsewhere),
    ):
        with pytest.raises(PasscodeNeeded):
            read(world, serial, proof, at)


def expire(world: World, _serial: str, _pc: Enrolled) -> None:
    world.clock.now += PROOF_TIME + timedelta(seconds=1)


def change(world: World, serial: str, pc: Enrolled) -> None:
    world.passcodes.change(serial, KeyRef.PIN, b"123456", PASSCODE, pc.identity)


def block(world: World, serial: str, pc: Enrolled) -> None:
    for _ in range(3):
        world.passcodes.verify(serial, KeyRef.PIN, b"000000", pc.identity)


@pytest.mark.parametrize("end", [expire, change, block])
def test_a_proof_that_has_ended(
    world: World,
    serial: str,
    admin: Administrator,
    pc: Enrolled,
    end: Callable[[World, str, Enrolled], None],
) -> None:
    write(world, admin)
    proof = world.proof(serial, pc)
    end(world, serial, pc)
    with pytest.raises(PasscodeNeeded):
        read(world, serial, proof, pc)


def test_a_card_out_of_use(world: World, serial: str, admin: Administrator, pc: Enrolled) -> None:
    write(world, admin)
    proof = world.proof(serial, pc)
    world.cards.suspend(serial, actor=OPERATOR)
    with pytest.raises(CardNotInUse):
        read(world, serial, proof, pc)


def test_one_that_is_not_there_or_that_everybody_reads(
    world: World, serial: str, admin: Administrator, pc: Enrolled
) -> None:
    proof = world.proof(serial, pc)
    for tag in (PRINTED, ObjectTag.CHUID, 0, 2**32 - 1):
        with pytest.raises(ObjectNotFound):
            read(world, serial, proof, pc, tag)
    write(world, admin)
    write(world, admin, b"")
    with pytest.raises(ObjectNotFound):
        read(world, serial, proof, pc)
    assert world.image(serial).withheld == frozenset()


def rows_of(connection: Connection) -> Mapping[str, bytes]:
    """The sealed values by name."""
    query = select(t.card_object.c.sealed_as, t.card_object.c.sealed_value)
    query = query.where(t.card_object.c.sealed_as.is_not(None)).order_by(t.card_object.c.tag)
    return {row.sealed_as: row.sealed_value for row in connection.execute(query)}


def put_back(connection: Connection, name: str, **values: str | bytes | None) -> None:
    this = t.card_object.c.sealed_as == name
    connection.execute(update(t.card_object).where(this).values(values))


def test_no_envelope_opens_in_the_place_of_another(
    world: World, serial: str, admin: Administrator, pc: Enrolled
) -> None:
    """Somebody who writes the database, and knows one object's PIN, puts another one there."""
    world.administration.write_object(admin, ObjectTag.PAIRING_CODE, b"12345678")
    write(world, admin, b"before")
    with world.database.write() as connection:
        (of_printed, before), (_, code) = rows_of(connection).items()
        put_back(connection, of_printed, sealed_value=code)
    proof = world.proof(serial, pc)
    with pytest.raises(SealBroken):
        read(world, serial, proof, pc)
    with world.database.write() as connection:
        put_back(connection, of_printed, sealed_value=before)
    write(world, admin)
    with world.database.write() as connection:
        put_back(connection, next(iter(rows_of(connection))), sealed_value=before)
    with pytest.raises(SealBroken):  # an earlier one
        read(world, serial, proof, pc)


def test_a_row_that_was_altered(
    world: World, serial: str, admin: Administrator, pc: Enrolled
) -> None:
    write(world, admin)
    proof = world.proof(serial, pc)
    with world.database.write() as connection:
        (name,) = rows_of(connection)
        put_back(connection, name, sealed_value=None)
    with pytest.raises(RecordDamaged, match="has lost its contents"):
        read(world, serial, proof, pc)
    with world.database.write() as connection:
        put_back(connection, name, sealed_as=None, value=b"somebody else's")
    with pytest.raises(RowNotAuthentic):
        read(world, serial, proof, pc)


def test_objects_of_before_are_sealed_once(world: World, serial: str, pc: Enrolled) -> None:
    in_the_clear(world, serial)
    in_the_clear(world, serial, ObjectTag.FACIAL_IMAGE)
    assert SECRET in everything(world)
    whole = card_image.card(world.image(serial))  # not even then
    assert SECRET not in whole.SerializeToString()
    assert world.data_objects.seal_all() == 2
    assert world.data_objects.seal_all() == 0
    assert SECRET not in everything(world)
    assert told(world)[0] is Kind.OBJECTS_SEALED
    assert read(world, serial, world.proof(serial, pc), pc) == SECRET


def test_one_that_no_keystore_wrote_is_not_sealed(world: World, serial: str) -> None:
    in_the_clear(world, serial)
    in_the_clear(world, serial, ObjectTag.FACIAL_IMAGE)
    with world.database.write() as connection:
        connection.execute(
            text("UPDATE card_object SET value = :value WHERE tag = :tag"),
            {"value": b"somebody else's", "tag": int(PRINTED)},
        )
    assert world.data_objects.seal_all() == 1
    with pytest.raises(RowNotAuthentic):
        world.image(serial)
