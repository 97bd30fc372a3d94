"""Somebody writes the database, but has no sealing key. Each of these attacks worked once."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import ColumnElement, Table, delete, insert, select, update

from card_os.piv.names import KeyRef
from cloud_keystore.model.errors import KeystoreError, PasscodeNeeded, RowNotAuthentic
from cloud_keystore.model.operations import State
from cloud_keystore.model.people import IdentityState, Role, User
from cloud_keystore.model.policies import Policy, encode
from cloud_keystore.storage import people, policies, tables
from cloud_keystore.storage.authentic.rows import Rows
from support.keystore_world import (
    DIGEST,
    OPERATOR,
    PASSCODE,
    SESSIONS,
    TERMS,
    Enrolled,
    World,
    csr,
    secret_of,
)

BOTH = pytest.mark.parametrize("world", ["sqlite", "postgresql"], indirect=True)
Record = dict[str, object]


def rows(world: World, table: Table) -> list[Record]:
    """What the attacker reads."""
    with world.database.read() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def put(world: World, table: Table, *records: Record) -> None:
    """Write records, in place of those with the same keys."""
    with world.database.write() as connection:
        for record in records:
            key = [column == record[column.name] for column in table.primary_key]
            if connection.execute(select(table).where(*key)).first() is None:
                connection.execute(insert(table).values(record))
            else:
                connection.execute(update(table).where(*key).values(record))


@pytest.fixture
def serial(world: World, ada: tuple[User, Enrolled]) -> str:
    """A card whose policy allows sessions."""
    world.set_policy(SESSIONS)
    return world.card(ada[0])


@BOTH
def test_a_session_beside_an_operation_that_still_waits(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    """It yielded signatures, although nobody had approved anything."""
    world.session(serial, pc, ada[1])
    (template,) = rows(world, tables.session)
    waiting = world.ask(serial, pc, session=TERMS)
    put(world, tables.session, {**template, "id": waiting.id})
    with pytest.raises(RowNotAuthentic, match="session"):
        world.sessions.use(waiting.id, os.urandom(16), [DIGEST], pc.identity)


@BOTH
def test_a_session_that_is_given_more_uses_or_time(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    session = world.session(serial, pc, ada[1])
    (record,) = rows(world, tables.session)
    for change in ({"uses_left": 1000}, {"expire_time": session.expire_time + timedelta(days=1)}):
        put(world, tables.session, {**record, **change})
        with pytest.raises(RowNotAuthentic):
            world.use(session, pc)
    put(world, tables.session, record)
    assert world.use(session, pc)


@BOTH
def test_a_session_that_is_changed_after_a_use(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    """What a use leaves is known for the next one, and counts only if it is what is read then."""
    session = world.session(serial, pc, ada[1])
    world.use(session, pc)
    (record,) = rows(world, tables.session)
    for change in ({"uses_left": 1000}, {"policy": "*/*/9"}, {"mac": b""}, {"mac": None}):
        put(world, tables.session, {**record, **change})
        with pytest.raises(RowNotAuthentic):
            world.use(session, pc)
    put(world, tables.session, record)
    assert world.use(session, pc)


@BOTH
def test_all_that_a_use_has_read_is_put_back(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    """It is what the last use has left, of which the keystore keeps what it has made of it."""
    session = world.session(serial, pc, ada[1])
    world.use(session, pc)
    (card,), (record,) = rows(world, tables.card), rows(world, tables.session)
    world.cards.suspend(serial, actor=OPERATOR)
    put(world, tables.card, card)
    put(world, tables.session, record)
    with pytest.raises(RowNotAuthentic, match="put back"):
        world.use(session, pc)


@BOTH
def test_the_records_on_which_a_session_rests(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    """Each of them alone, after the keystore has believed them."""
    session = world.session(serial, pc, ada[1])
    world.use(session, pc)
    changes: list[tuple[Table, str, Record]] = [
        (tables.card, session.card_id, {"profile": "developer"}),
        (tables.key, session.key_id, {"pin_policy": 1}),
        (tables.identity, pc.identity.id, {"site": "elsewhere"}),
        (tables.identity, ada[1].identity.id, {"public_key": b""}),
        (tables.operation, session.id, {"decision": 2}),
        (tables.policy, "", {"document": encode(Policy())}),
    ]
    for table, name, change in changes:
        (record,) = (each for each in rows(world, table) if each.get("id", "") == name)
        # Another code makes the keystore read the record again.
        put(world, table, {**record, **change, "mac": os.urandom(40)})
        with pytest.raises(RowNotAuthentic):
            world.use(session, pc)
        put(world, table, record)
        assert world.use(session, pc)


@BOTH
def test_a_card_that_has_the_code_of_another_card(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    """What a code stands for is read once, so that the code of a card in use could stand beside a
    card that is out of use; the same of the other records on which a session rests.
    """
    other = world.user("Bo")
    second, elsewhere = world.card(other[0]), world.workstation("PC2")
    theirs = world.session(second, elsewhere, other[1])
    session = world.session(serial, pc, ada[1])
    world.set_policy(Policy(session=replace(TERMS, most_uses=TERMS.most_uses + 1)))
    assert world.use(theirs, elsewhere)
    assert world.use(session, pc)
    pairs = [
        (tables.card, session.card_id, theirs.card_id),
        (tables.key, session.key_id, theirs.key_id),
        (tables.identity, pc.identity.id, elsewhere.identity.id),
        (tables.identity, ada[1].identity.id, other[1].identity.id),
        (tables.operation, session.id, theirs.id),
    ]
    for table, name, another in pairs:
        codes = {each["id"]: each["mac"] for each in rows(world, table)}
        give_code(world, table, table.c.id == name, codes[another])
        with pytest.raises(RowNotAuthentic, match="of another record"):
            world.use(session, pc)
        give_code(world, table, table.c.id == name, codes[name])
    old, new = (each["mac"] for each in rows(world, tables.policy))
    give_code(world, tables.policy, tables.policy.c.version == 2, old)
    with pytest.raises(RowNotAuthentic):
        world.use(session, pc)
    give_code(world, tables.policy, tables.policy.c.version == 2, new)
    assert world.use(session, pc)


def give_code(world: World, table: Table, which: ColumnElement[bool], code: object) -> None:
    """Write another code beside a record."""
    with world.database.write() as connection:
        connection.execute(update(table).where(which).values(mac=code))


@BOTH
@pytest.mark.parametrize("ended", ["used up", "ended"])
def test_a_session_that_is_put_back(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, ended: str
) -> None:
    session = world.session(serial, pc, ada[1])
    (record,) = rows(world, tables.session)
    world.use(session, pc)
    if ended == "ended":
        world.sessions.end(session.id, pc.identity)
    put(world, tables.session, record)
    with pytest.raises(RowNotAuthentic, match="put back"):
        world.use(session, pc)


@BOTH
def test_an_approval_that_is_put_back_after_its_use(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    operation = world.ask(serial, pc)
    world.decide(operation, ada[1])
    (record,) = (each for each in rows(world, tables.operation) if each["id"] == operation.id)
    world.perform(operation, pc)
    put(world, tables.operation, record)
    with pytest.raises(RowNotAuthentic, match="put back"):
        world.perform(operation, pc)


@BOTH
def test_an_operation_that_is_called_approved(world: World, pc: Enrolled, serial: str) -> None:
    operation = world.ask(serial, pc)
    with world.database.write() as connection:
        connection.execute(update(tables.operation).values(state=State.APPROVED))
    with pytest.raises(RowNotAuthentic, match="operation"):
        world.perform(operation, pc)


@BOTH
@pytest.mark.parametrize("role", [Role.OPERATOR, Role.DEVICE, Role.WORKSTATION])
def test_an_identity_of_nobody(world: World, ada: tuple[User, Enrolled], role: Role) -> None:
    """A row made a stranger's certificate that of an operator."""
    template = rows(world, tables.identity)[0]
    mine = sha256(b"certificate").digest()
    forged = {**template, "id": "forged", "role": role, "certificate_sha256": mine}
    put(world, tables.identity, {**forged, "state": IdentityState.ACTIVE, "user_id": ada[0].id})
    with (
        world.database.read() as connection,
        pytest.raises(RowNotAuthentic, match="identity forged"),
    ):
        people.find_identity_by_certificate(connection, mine)


@BOTH
def test_an_identity_with_another_certificate_or_role(world: World, pc: Enrolled) -> None:
    (record,) = (each for each in rows(world, tables.identity) if each["id"] == pc.identity.id)
    for change in ({"role": Role.OPERATOR}, {"certificate_sha256": bytes(32)}):
        put(world, tables.identity, {**record, **change})
        with world.database.read() as connection, pytest.raises(RowNotAuthentic):
            people.find_identity(connection, pc.identity.id)


@BOTH
def test_an_identity_that_is_put_back_after_its_removal(world: World, pc: Enrolled) -> None:
    (record,) = (each for each in rows(world, tables.identity) if each["id"] == pc.identity.id)
    with world.database.write() as connection:
        people.remove_identity(connection, pc.identity.id)
    put(world, tables.identity, record)
    with world.database.read() as connection, pytest.raises(RowNotAuthentic, match="put back"):
        people.find_identity(connection, pc.identity.id)


@BOTH
def test_a_token_of_nobody(world: World) -> None:
    _, real = world.people.add_workstation("PC2", "", actor=OPERATOR)
    (template,) = (
        each
        for each in rows(world, tables.token)
        if each["secret_sha256"] == sha256(secret_of(real.text)).digest()
    )
    secret = os.urandom(16)
    put(world, tables.token, {**template, "secret_sha256": sha256(secret).digest()})
    with pytest.raises(RowNotAuthentic, match="token"):
        world.enrolment.enrol(secret, csr(ec.generate_private_key(ec.SECP256R1())), "PC2")


@BOTH
def test_a_device_that_is_given_the_attackers_key(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    mallory = world.user("Mallory")[1].identity.public_key
    operation = world.ask(serial, pc)
    world.decide(operation, ada[1])
    (record,) = (each for each in rows(world, tables.identity) if each["id"] == ada[1].identity.id)
    put(world, tables.identity, {**record, "public_key": mallory})
    with pytest.raises(RowNotAuthentic, match="identity"):
        world.perform(operation, pc)


@BOTH
def test_a_device_whose_own_key_is_deleted(world: World, pc: Enrolled) -> None:
    """Without its record, a device with a passkey approved by the key of its connections."""
    user, token = world.people.add_user("Cy", "", actor=OPERATOR)
    assert token is not None
    phone, serial = world.enrol_passkey(token.text), world.card(user)
    operation = world.ask(serial, pc)
    with world.database.write() as connection:
        connection.execute(delete(tables.approval_key))
    with pytest.raises(KeystoreError):
        world.decide(operation, Enrolled(phone.identity, phone.private))
    assert world.state(operation) is State.PENDING


@BOTH
def test_a_proof_that_the_passcode_was_given(world: World, pc: Enrolled, serial: str) -> None:
    world.proof(serial, pc)
    (template,) = rows(world, tables.passcode_proof)
    proof = os.urandom(16)
    put(world, tables.passcode_proof, {**template, "sha256": sha256(proof).digest()})
    with pytest.raises(RowNotAuthentic, match="passcode_proof"):
        world.ask(serial, pc, proof=proof)


@BOTH
def test_a_proof_that_is_put_back_after_its_passcode_was_changed(
    world: World,
    pc: Enrolled,
    serial: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another process has not seen it go, but sees another passcode."""
    proof = world.proof(serial, pc)
    (record,) = rows(world, tables.passcode_proof)
    world.passcodes.change(serial, KeyRef.PIN, PASSCODE, b"864209", pc.identity)
    put(world, tables.passcode_proof, record)
    with pytest.raises(RowNotAuthentic, match="put back"):
        world.ask(serial, pc, proof=proof)
    unaware = Rows()
    unaware.codes.use(world.seal.row_key)
    monkeypatch.setattr(world.database, "_rows", unaware)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, proof=proof)


@BOTH
@pytest.mark.parametrize("how", ["more tries", "put back"])
def test_tries_that_are_given_back(world: World, pc: Enrolled, serial: str, how: str) -> None:
    (record,) = (each for each in rows(world, tables.passcode) if each["key_ref"] == KeyRef.PIN)
    world.passcodes.verify(serial, KeyRef.PIN, b"000000", pc.identity)
    if how == "more tries":
        record = next(r for r in rows(world, tables.passcode) if r["key_ref"] == KeyRef.PIN)
        record["tries_left"] = 3
    put(world, tables.passcode, record)
    with pytest.raises(RowNotAuthentic):
        world.passcodes.verify(serial, KeyRef.PIN, b"000001", pc.identity)


@BOTH
def test_the_hash_of_the_attackers_own_passcode(world: World, pc: Enrolled, serial: str) -> None:
    own = world.card(world.user("Mallory")[0])
    mine, hers = (world.find(each).card.id for each in (own, serial))
    records = [each for each in rows(world, tables.passcode) if each["key_ref"] == KeyRef.PIN]
    (template,) = (each for each in records if each["card_id"] == mine)
    put(world, tables.passcode, {**template, "card_id": hers})
    with pytest.raises(RowNotAuthentic):
        world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity)


@BOTH
def test_a_card_that_is_used_again_after_its_revocation(
    world: World, pc: Enrolled, serial: str
) -> None:
    (record,) = rows(world, tables.card)
    world.cards.revoke(serial, "lost", actor=OPERATOR)
    (revoked,) = rows(world, tables.card)
    put(world, tables.card, {**revoked, "state": record["state"]})
    with pytest.raises(RowNotAuthentic, match="a wrong code"):
        world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity)
    put(world, tables.card, record)
    with pytest.raises(RowNotAuthentic, match="put back"):
        world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity)


@BOTH
def test_a_policy_that_no_operator_has_set(world: World) -> None:
    world.set_policy(SESSIONS)
    template = rows(world, tables.policy)[0]
    put(world, tables.policy, {**template, "version": 99})
    with world.database.read() as connection, pytest.raises(RowNotAuthentic, match="policy"):
        policies.in_force(connection, "default", "p256")


@BOTH
def test_an_object_or_a_key_that_a_card_never_had(world: World, serial: str) -> None:
    template = rows(world, tables.card_object)[0]
    put(world, tables.card_object, {**template, "value": b"another certificate"})
    with pytest.raises(RowNotAuthentic, match="card_object"):
        world.image(serial)


@BOTH
def test_an_entry_that_no_keystore_wrote_gets_no_place_in_the_tree(world: World) -> None:
    """A row in the journal's table was signed into the tree."""
    world.workstation()
    world.take_in()
    template = rows(world, tables.journal)[0]
    forged = {**template, "entry": bytes(template["entry"]).replace(b"1", b"2")}  # type: ignore[call-overload]
    del forged["id"]
    with world.database.write() as connection:
        connection.execute(insert(tables.journal).values({**forged, "leaf_index": None}))
    with pytest.raises(RowNotAuthentic, match="journal"):
        world.take_in()
    with world.database.write() as connection:
        connection.execute(delete(tables.journal).where(tables.journal.c.leaf_index.is_(None)))
    assert world.take_in() == 0


@BOTH
def test_a_changed_operation_keeps_no_other_waiting(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    changed, other = world.ask(serial, pc), world.ask(world.card(ada[0]), pc)
    record = next(each for each in rows(world, tables.operation) if each["id"] == changed.id)
    put(world, tables.operation, {**record, "number": "00" if changed.number != "00" else "11"})
    (seen,) = world.asking.look([changed.id, other.id], pc.identity)
    assert seen.id == other.id
