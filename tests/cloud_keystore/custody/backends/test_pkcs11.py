"""Keys in a token: SoftHSM, a token of its own for each test, through the use cases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select, update

from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.config import Token
from cloud_keystore.custody.backends import destroying, pkcs11
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.backends.pkcs11 import Pool, TokenKeys, realm
from cloud_keystore.custody.backends.pkcs11_worker import TokenAddress
from cloud_keystore.custody.backends.probing import TOKEN_SECONDS, Probe
from cloud_keystore.custody.sealing.seal import Seal, SealBroken, SealingKeyError, make_key_file
from cloud_keystore.custody.sealing.sealing_keys import Source, open_seal
from cloud_keystore.custody.use import padding
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import PKCS11, Destroyed, HeldKey, OnToken, Private, Sealed
from cloud_keystore.model.errors import (
    InvalidInput,
    KeyBackendUnavailable,
    KeyNotFound,
    MalformedKeyInput,
)
from cloud_keystore.model.journal import Kind, decode
from cloud_keystore.storage import cards
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.engine import Database
from cloudcard_tools.keys.command import keys
from support.endings import wait_until_gone
from support.keystore_world import OPERATOR, FakeClock, World, new_world
from support.softhsm import CONFIGURATION, LABEL, MODULE, PIN, new_token

SEAL = Seal(b"\x07" * 32, os.urandom)
DIGEST = sha256(b"document").digest()
UNCOMPRESSED = (Encoding.X962, PublicFormat.UncompressedPoint)


@pytest.fixture
def token_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new token."""
    folder = tmp_path / "tokens"
    monkeypatch.setenv(CONFIGURATION, str(new_token(folder)))
    return folder


@pytest.fixture
def token(token_folder: Path) -> Iterator[TokenKeys]:
    assert token_folder.is_dir()
    keys = TokenKeys(Pool.start(TokenAddress(MODULE, LABEL, realm(SEAL), PIN), 1), SEAL)
    yield keys
    keys.pool.close()


@pytest.fixture
def world(token: TokenKeys, tmp_path: Path) -> Iterator[World]:
    world = new_world(tmp_path, {PKCS11: token}, PKCS11)
    yield world
    world.database.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty one."""
    with closing(Database(f"sqlite:///{tmp_path / 'keystore.db'}")) as made:
        made.migrate()
        yield made


def new_key(token: TokenKeys, world: World, algorithm: Algorithm, number: int = 1) -> HeldKey:
    key_id = str(UUID(int=number))
    made = token.make(key_id, algorithm)
    return HeldKey(
        id=key_id,
        card_id="c",
        key_ref=0x9A,
        algorithm=algorithm,
        certificate=b"",
        create_time=world.clock(),
        public_key=made.public_der,
        private=made.private,
    )


def place(private: Private) -> OnToken:
    assert isinstance(private, OnToken)
    return private


def told(world: World) -> list[tuple[str, str | None]]:
    """What the journal says of keys destroyed: backend and key."""
    with world.database.read() as connection:
        entries = connection.execute(select(t.journal.c.entry)).scalars().all()
    told = [decode(entry) for entry in entries]
    return [
        (str(entry.details["backend"]), entry.key_id)
        for entry in told
        if entry.kind is Kind.KEY_DESTROYED
    ]


def test_a_card_with_its_keys_in_the_token(world: World, token: TokenKeys) -> None:
    (user, phone), workstation = world.user(), world.workstation()
    serial = world.card(user, "p256")
    operation = world.ask(serial, workstation, DIGEST)
    world.decide(operation, phone)
    signature = world.perform(operation, workstation, DIGEST)
    key = next(key for key in world.keys(serial) if key.id == operation.key_id)
    public = x509.load_der_x509_certificate(key.certificate).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, DIGEST, ec.ECDSA(Prehashed(SHA256())))
    made = {each.id for each in world.keys(serial)}
    assert {UUID(bytes=handle) for handle in token.handles()} == {UUID(each) for each in made}
    world.cards.revoke(serial, "lost", actor=OPERATOR)
    assert told(world) == []  # not before the token has done it
    assert destroying.sweep(world.database, token, world.clock()) == len(made)
    assert token.handles() == []
    assert {key_id for _, key_id in told(world)} == made
    assert destroying.sweep(world.database, token, world.clock()) == 0


def test_each_use_of_an_rsa_key(world: World, token: TokenKeys) -> None:
    key = new_key(token, world, Algorithm.RSA_2048)
    info = padding.DIGEST_INFO["sha256"][0] + DIGEST
    block = b"\0\1" + b"\xff" * (253 - len(info)) + b"\0" + info
    (signature,) = token.use(key, KeyUse.SIGN, [block])
    public = token_public(key)
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(signature, DIGEST, PKCS1v15(), Prehashed(SHA256()))
    (plain,) = token.use(key, KeyUse.DECRYPT, [public.encrypt(b"secret", PKCS1v15())])
    assert plain[:2] == b"\0\2"
    assert plain.endswith(b"\0secret")
    with pytest.raises(MalformedKeyInput, match="modulus"):
        token.use(key, KeyUse.DECRYPT, [b"\xff" * 256])


@pytest.mark.parametrize("algorithm", [Algorithm.ECC_P256, Algorithm.ECC_P384])
def test_each_use_of_an_ecc_key(world: World, token: TokenKeys, algorithm: Algorithm) -> None:
    key = new_key(token, world, algorithm)
    public = token_public(key)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert len(token.use(key, KeyUse.SIGN, [DIGEST, b"\1"])) == 2  # which are verified there
    peer = ec.generate_private_key(public.curve)
    point = peer.public_key().public_bytes(*UNCOMPRESSED)
    assert token.use(key, KeyUse.AGREE, [point]) == [peer.exchange(ec.ECDH(), public)]
    with pytest.raises(MalformedKeyInput, match="not on the key's curve"):
        token.use(key, KeyUse.AGREE, [point[:-1] + bytes([point[-1] ^ 1])])


def token_public(key: HeldKey) -> object:
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    return load_der_public_key(key.public_key)


def test_other_algorithms_are_refused(token: TokenKeys) -> None:
    with pytest.raises(InvalidInput, match="ED25519"):
        token.make(str(UUID(int=1)), Algorithm.ED25519)


EXTRACT = """
import sys, pkcs11
from pkcs11 import Attribute, ObjectClass
session = pkcs11.lib(sys.argv[1]).get_token(token_label=sys.argv[2]).open(user_pin=sys.argv[3])
(key,) = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})
assert key[Attribute.SENSITIVE] and not key[Attribute.EXTRACTABLE]
for secret in (Attribute.VALUE, Attribute.PRIVATE_EXPONENT, Attribute.PRIME_1):
    try:
        key[secret]
    except pkcs11.PKCS11Error as error:
        print(type(error).__name__)
wrapper = session.generate_key(pkcs11.KeyType.AES, 256, capabilities=pkcs11.MechanismFlag.WRAP)
try:
    wrapper.wrap_key(key, mechanism=pkcs11.Mechanism.AES_KEY_WRAP)
except pkcs11.PKCS11Error as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("algorithm", [Algorithm.ECC_P256, Algorithm.RSA_2048])
def test_keys_do_not_leave_the_token(world: World, token: TokenKeys, algorithm: Algorithm) -> None:
    new_key(token, world, algorithm)
    arguments = [sys.executable, "-c", EXTRACT, MODULE, LABEL, PIN]
    tried = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert len(tried.stdout.split()) == 4
    assert tried.stdout.split()[-1] == "KeyUnextractable"


def test_a_worker_killed_is_replaced(world: World, token: TokenKeys) -> None:
    key = new_key(token, world, Algorithm.ECC_P256)
    (before,) = token.pool.process_ids
    os.kill(before, signal.SIGKILL)
    assert len(token.use(key, KeyUse.SIGN, [DIGEST])) == 1
    (after,) = token.pool.process_ids
    assert after != before


def test_a_worker_killed_in_the_middle_of_a_use(world: World, token: TokenKeys) -> None:
    key = new_key(token, world, Algorithm.ECC_P256)
    (before,) = token.pool.process_ids
    os.kill(before, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as threads:
        using = threads.submit(token.use, key, KeyUse.SIGN, [DIGEST])
        while token.pool.process_ids:  # until it has the request
            time.sleep(0.01)
        os.kill(before, signal.SIGKILL)
        assert len(using.result(timeout=60)) == 1
    assert token.pool.process_ids != [before]


def test_a_worker_that_does_not_answer_is_given_up(
    world: World, token: TokenKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key(token, world, Algorithm.ECC_P256)
    (before,) = token.pool.process_ids
    os.kill(before, signal.SIGSTOP)
    with monkeypatch.context() as hurried:
        hurried.setattr(pkcs11, "CALL_SECONDS", 1.0)
        with pytest.raises(KeyBackendUnavailable, match="in time"):
            token.use(key, KeyUse.SIGN, [DIGEST])
    assert not Path(f"/proc/{before}").exists()
    assert len(token.use(key, KeyUse.SIGN, [DIGEST])) == 1


def test_a_token_that_is_gone(world: World, token: TokenKeys, token_folder: Path) -> None:
    key = new_key(token, world, Algorithm.ECC_P256)
    (worker,) = token.pool.process_ids
    os.kill(worker, signal.SIGKILL)
    away = token_folder.with_name("away")
    token_folder.rename(away)
    token_folder.mkdir()
    with pytest.raises(KeyBackendUnavailable, match="not there"):
        token.use(key, KeyUse.SIGN, [DIGEST])
    seconds = iter((0.0, TOKEN_SECONDS))
    probe = Probe(Keys({PKCS11: token}, PKCS11), world.clock, os.urandom, lambda: next(seconds))
    assert not probe.works()
    token_folder.rmdir()
    away.rename(token_folder)
    assert len(token.use(key, KeyUse.SIGN, [DIGEST])) == 1
    before = token.handles()
    assert probe.works()
    assert token.handles() == before


def test_a_wrong_pin_is_tried_once(token_folder: Path) -> None:
    assert token_folder.is_dir()
    with pytest.raises(KeyBackendUnavailable, match="refuses the PIN") as caught:
        Pool.start(TokenAddress(MODULE, LABEL, "cloudcard", "000000"), 2)
    assert "000000" not in str(caught.value)
    assert "000000" not in repr(TokenAddress(MODULE, LABEL, "cloudcard", "000000"))


def test_a_pin_that_turned_wrong_stops_the_pool(world: World, token: TokenKeys) -> None:
    key = new_key(token, world, Algorithm.ECC_P256)
    change = ["pkcs11-tool", "--module", MODULE, "--token-label", LABEL, "--login", "--pin", PIN]
    subprocess.run(
        [*change, "--change-pin", "--new-pin", "555555"], check=True, capture_output=True
    )
    (worker,) = token.pool.process_ids
    os.kill(worker, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(KeyBackendUnavailable, match="not tried again"):
            token.use(key, KeyUse.SIGN, [DIGEST])
    assert token.pool.process_ids == []


def test_a_module_that_is_none(tmp_path: Path) -> None:
    text = tmp_path / "text.so"
    text.write_text("no library")
    for module in (tmp_path / "none.so", text, tmp_path):
        with pytest.raises(KeyBackendUnavailable, match="--hsm-module"):
            Pool.start(TokenAddress(str(module), LABEL, "cloudcard", PIN), 1)


def test_a_token_of_another_name(token_folder: Path) -> None:
    assert token_folder.is_dir()
    with pytest.raises(KeyBackendUnavailable, match="--hsm-token"):
        Pool.start(TokenAddress(MODULE, "none", "cloudcard", PIN), 1)


def test_a_handle_exchanged_is_refused(world: World, token: TokenKeys) -> None:
    mine, other = (new_key(token, world, Algorithm.ECC_P256, number) for number in (1, 2))
    handle, mark = place(other.private).handle, place(mine.private).mark
    for forged in (
        replace(mine, private=OnToken(handle, mark)),
        replace(mine, private=other.private),
        replace(mine, public_key=other.public_key),
        replace(mine, private=OnToken(handle, mark), public_key=other.public_key),
    ):
        with pytest.raises(SealBroken):
            token.use(forged, KeyUse.SIGN, [DIGEST])
    with pytest.raises(SealBroken):
        world.custody.use(replace(mine, private=Sealed(mark)), KeyUse.SIGN, [DIGEST])


def test_one_forged_record_keeps_no_other_key_in_the_token(world: World, token: TokenKeys) -> None:
    """No key was destroyed any more, and the service did not start."""
    serial = world.card(world.user()[0], "p256")
    forged, *others = world.keys(serial)
    world.cards.revoke(serial, "lost", actor=OPERATOR)
    with world.database.write() as connection:
        this = update(t.key).where(t.key.c.id == forged.id)
        connection.execute(this.values(imported=not forged.imported))
    assert destroying.sweep(world.database, token, world.clock()) == len(others)
    assert [str(UUID(bytes=each)) for each in token.handles()] == [forged.id]


def test_a_key_that_the_token_lost(world: World, token: TokenKeys) -> None:
    key = new_key(token, world, Algorithm.ECC_P256)
    token.destroy(key)
    token.destroy(key)  # again: no error
    with pytest.raises(KeyNotFound, match="token"):
        token.use(key, KeyUse.SIGN, [DIGEST])


def test_a_key_that_no_row_knows_is_swept(world: World, token: TokenKeys) -> None:
    serial = world.card(world.user()[0], "p256")
    kept = len(token.handles())
    new_key(token, world, Algorithm.ECC_P256)  # by its identifier made long ago
    assert destroying.sweep_orphans(world.database, token, world.clock()) == 1
    assert len(token.handles()) == kept
    young = token.make(world.keys(serial)[0].id[:-4] + "ffff", Algorithm.ECC_P256)
    assert destroying.sweep_orphans(world.database, token, world.clock()) == 0
    assert place(young.private).handle in token.handles()


def test_a_crash_before_the_token_was_told_is_repaired(world: World, token: TokenKeys) -> None:
    serial = world.card(world.user()[0], "p256")
    key = world.keys(serial)[0]
    with world.database.write() as connection:
        held = cards.find_key(connection, key.id)
        assert destroying.remove_key(connection, key.card_id, key.key_ref, world.clock(), KEYSTORE)
        rows.change(connection, t.card, [], {"reason": "as a crash leaves it"})
    assert held is not None
    handle = place(held.private).handle
    assert handle in token.handles()
    assert destroying.sweep(world.database, token, world.clock()) == 1
    assert handle not in token.handles()
    with world.database.read() as connection:
        gone = cards.find_key(connection, key.id)
    assert gone is not None
    assert gone.private == Destroyed()
    assert told(world) == [("pkcs11", key.id)]


def test_a_sealing_key_in_the_token(token_folder: Path, tmp_path: Path, database: Database) -> None:
    assert token_folder.is_dir()
    pin_file = tmp_path / "pin"
    pin_file.write_text(f"{PIN}\n")
    pin_file.chmod(0o600)
    address = Token(Path(MODULE), LABEL, pin_file)
    source = Source.parse("pkcs11:sealing", address)
    now = FakeClock()()
    sealed = open_seal(database, [source], now, os.urandom).close(b"value", "context")
    assert open_seal(database, [source], now, os.urandom).open(sealed, "context") == b"value"
    with pytest.raises(SealingKeyError, match="not a sealing key of this database"):
        open_seal(database, [Source.parse("pkcs11:other", address)], now, os.urandom)
    forged = json.dumps({"name": "sealing", "wrapped": "00" * 60})
    with database.write() as connection:
        connection.execute(update(t.sealing_key).values(parameters=forged))
    with pytest.raises(SealingKeyError, match="altered"):
        open_seal(database, [source], now, os.urandom)
    pin_file.chmod(0o644)
    with pytest.raises(SealingKeyError, match="chmod 600"):
        open_seal(database, [source], now, os.urandom)


def test_the_command_sweeps_the_token(
    token_folder: Path, tmp_path: Path, database: Database
) -> None:
    assert token_folder.is_dir()
    pin_file, key_file = tmp_path / "pin", tmp_path / "sealing.key"
    pin_file.write_text(PIN)
    pin_file.chmod(0o600)
    make_key_file(key_file, os.urandom)
    source = Source.parse(f"file:{key_file}")
    seal = open_seal(database, [source], FakeClock()(), os.urandom)
    held = TokenKeys(Pool.start(TokenAddress(MODULE, LABEL, realm(seal), PIN), 1), seal)
    held.make(str(UUID(int=1)), Algorithm.ECC_P256)
    token = ["--hsm-module", MODULE, "--hsm-token", LABEL, "--hsm-pin-file", str(pin_file)]
    arguments = ["sweep", "--sealing-key", str(source), *token, "--data", str(tmp_path), "--json"]
    arguments.append("--yes")
    result = CliRunner().invoke(keys, arguments)
    assert json.loads(result.output) == {"values": 1}
    assert held.handles() == []
    held.pool.close()


SERVICE = """
import json, sys, time
from cloud_keystore.custody.backends.pkcs11 import Pool
from cloud_keystore.custody.backends.pkcs11_worker import TokenAddress
if __name__ == "__main__":
    pool = Pool.start(TokenAddress(*sys.argv[1:]), 1)
    print(json.dumps(pool.process_ids), flush=True)
    time.sleep(60)
"""


def test_workers_end_with_a_service_that_is_killed(token_folder: Path, tmp_path: Path) -> None:
    assert token_folder.is_dir()
    script = tmp_path / "service.py"
    script.write_text(SERVICE)
    arguments = [sys.executable, str(script), MODULE, LABEL, "cloudcard", PIN]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        (worker,) = json.loads(service.stdout.readline())
        service.kill()
    wait_until_gone(worker)
