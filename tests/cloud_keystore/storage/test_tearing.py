"""A keystore that dies in the middle of a change leaves the old card or the new one, whole."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import pytest

from card_os.administration import Changed, GenerateKey, WriteObject
from card_os.keys import ReadObject, Refusal, Verified, VerifyPasscode
from card_os.piv.names import Algorithm, KeyRef, ObjectTag
from card_os.piv.sizes import FACTORY_PIN
from cloud_keystore.custody.sealing.sealing_keys import FILE, Source, open_seal
from cloud_keystore.model.clock import utc_now
from cloud_keystore.storage.engine import Database
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.prompter import Outcome, Prompt, Withdraw
from reader_bridge.remote.keys import RemoteKeys
from reader_bridge.tasks import Cancellation
from support import tearing
from support.keystore_process import KeystoreProcess, administrator
from support.whole_cards import faults

ROUNDS = 6
LEAST_STATEMENTS = 5  # of any change


@pytest.mark.timeout(600)  # on a busy computer
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_death_between_any_two_statements(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, tearing.__file__, tmp_path],
        env={**os.environ, "PYTHONPATH": str(Path(tearing.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["torn"] == []
    assert all(deaths > LEAST_STATEMENTS for deaths in found["deaths"].values()), found["deaths"]


class Nobody:
    """A holder who is not asked."""

    def show(self, prompt: Prompt, _withdraw: Withdraw) -> None:
        raise AssertionError(prompt)

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        raise AssertionError(outcome)


def test_kill_9_while_a_card_is_administered(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)  # shown when it fails
    delays = random.Random(seed)
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery)
        serial = keystore.developer_card(keystore.holder("Ada")[0])
        workstation = keystore.workstation("PC")
        for _ in range(ROUNDS):
            with identity.channel(workstation) as pc:
                keys = RemoteKeys(pc, serial, Nobody())
                written, cut = administer_until_killed(
                    keystore, pc, keys, delays.uniform(0.02, 0.4)
                )
            database = Database(f"sqlite:///{tmp_path / 'keystore' / 'keystore.db'}")
            key = Source(FILE, str(tmp_path / "keystore" / "sealing.key"))
            seal = open_seal(database, [key], utc_now(), os.urandom)
            assert faults(database, seal, serial) == []
            database.close()
            keystore.restart()
            # The old channel would wait before it connects again.
            with identity.channel(workstation) as pc:
                keys = RemoteKeys(pc, serial, Nobody())
                verify = VerifyPasscode(bytes(16), KeyRef.PIN, FACTORY_PIN)
                verified = keys.perform(verify, Cancellation())
                assert isinstance(verified, Verified)
                request = ReadObject(verified.proof, ObjectTag.PRINTED_INFORMATION)
                assert keys.perform(request, Cancellation()) in (written, cut)


def administer_until_killed(
    keystore: KeystoreProcess, pc: grpc.Channel, keys: RemoteKeys, seconds: float
) -> tuple[bytes, bytes]:
    """Change the card until the keystore is killed; returns the last contents that were
    acknowledged and those that were sent last.
    """
    proof = administrator(pc, keys.get_card().serial)
    written = sent = b"\x01"
    assert isinstance(keys.perform(write(proof, sent), Cancellation()), Changed)
    killer = threading.Timer(seconds, keystore.kill)
    killer.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        sent = bytes((1 + (written[0] + 1) % 250,))
        made = keys.perform(write(proof, sent), Cancellation())
        if made is Refusal.UNAVAILABLE:
            break
        assert isinstance(made, Changed)
        written = sent
        made = keys.perform(GenerateKey(proof, 0x9A, Algorithm.ECC_P256), Cancellation())
        if made is Refusal.UNAVAILABLE:
            break
        assert isinstance(made, Changed)
    killer.join()
    return written, sent


def write(proof: bytes, contents: bytes) -> WriteObject:
    return WriteObject(proof, ObjectTag.PRINTED_INFORMATION, contents)
