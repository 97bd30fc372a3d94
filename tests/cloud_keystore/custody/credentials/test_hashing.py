"""argon2's turns: a storm of log-ins is refused, and costs nobody a try."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import pytest

from card_os.piv.names import KeyRef
from cloud_keystore.custody.credentials import hashing as module
from cloud_keystore.custody.credentials.hashing import Hashing, half_the_cores
from cloud_keystore.model.errors import Overloaded
from cloud_keystore.model.passcodes import Verified
from support.keystore_world import PASSCODE, World

SECONDS = 60.0


def test_who_is_refused_for_load_has_spent_no_try(world: World) -> None:
    user, _ = world.user()
    pc = world.workstation()
    serial = world.card(user)
    hashing = Hashing(at_once=1, waiting=0)
    passcodes = replace(world.passcodes, hashing=hashing)
    with hashing.turn():
        for _ in range(10):
            with pytest.raises(Overloaded):
                passcodes.verify(serial, KeyRef.PIN, b"000000", pc.identity)
    assert passcodes.status(serial, KeyRef.PIN).tries_left == 3
    assert isinstance(passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity), Verified)


def test_no_more_than_allowed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", SECONDS)
    hashing = Hashing(at_once=2, waiting=3)
    lock, open_gate = threading.Lock(), threading.Event()
    now, most, refused = 0, 0, 0

    def hash_once() -> None:
        nonlocal now, most, refused
        try:
            with hashing.turn():
                with lock:
                    now += 1
                    most = max(most, now)
                open_gate.wait(SECONDS)
                with lock:
                    now -= 1
        except Overloaded:
            with lock:
                refused += 1
                if refused == 15:
                    open_gate.set()

    threads = [threading.Thread(target=hash_once) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, refused) == (2, 15)


@pytest.mark.parametrize(("cores", "half"), [(8, 4), (3, 1), (1, 1), (None, 1)])
def test_half_the_cores_hash(monkeypatch: pytest.MonkeyPatch, cores: int | None, half: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert half_the_cores() == half


def test_who_waited_in_vain_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.001)
    hashing, done = Hashing(at_once=1, waiting=1), list[str]()
    with hashing.turn():
        for _ in range(3):
            with pytest.raises(Overloaded, match="log in"), hashing.turn():
                done.append("without a turn")
    for _ in range(3):
        with hashing.turn():
            done.append("turn")
    assert done == ["turn"] * 3
