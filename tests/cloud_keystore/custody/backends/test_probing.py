"""Whether keys can be used is found out before somebody needs one."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.custody.backends.keys import Keys, MadeKey
from cloud_keystore.custody.backends.probing import PROBE_SECONDS, Probe
from cloud_keystore.custody.backends.software import SoftwareKeys
from cloud_keystore.model.cards import SOFTWARE, HeldKey
from cloud_keystore.model.errors import KeyBackendUnavailable
from cloud_keystore.pki.revocation.publishing import Publishing
from cloud_keystore.run.budgets import Budgets
from cloud_keystore.run.ends import Ends
from cloud_keystore.run.looks import Looks
from support.keystore_world import World


@dataclass
class Faulty:
    """Keys of software, with the faults that it is told."""

    real: SoftwareKeys
    faults: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)

    def make(self, key_id: str, algorithm: Algorithm) -> MadeKey:
        if "make" in self.faults:
            raise KeyBackendUnavailable("the token is gone")
        self.held.add(key_id)
        return self.real.make(key_id, algorithm)

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        if "use" in self.faults:
            raise KeyBackendUnavailable("the token is gone")
        if "result" in self.faults:
            inputs = [bytes(len(each)) for each in inputs]
        return self.real.use(key, key_use, inputs)

    def destroy(self, key: HeldKey) -> None:
        self.held.discard(key.id)
        self.real.destroy(key)


@dataclass
class Case:
    """A probe, its backend, and the time."""

    faulty: Faulty
    probe: Probe
    seconds: list[float]


@pytest.fixture
def case(world: World) -> Case:
    faulty = Faulty(SoftwareKeys(world.seal))
    seconds = [0.0]
    keys = Keys({SOFTWARE: faulty})
    return Case(faulty, Probe(keys, world.clock, os.urandom, lambda: seconds[0]), seconds)


@pytest.mark.parametrize("fault", ["make", "use", "result"])
def test_a_key_that_cannot_be_used_is_told_and_so_is_one_that_can_again(
    case: Case, fault: str
) -> None:
    """OPS-03."""
    assert case.probe.works()
    case.faulty.faults.add(fault)
    assert case.probe.works()  # as it was a moment ago
    case.seconds[0] += PROBE_SECONDS
    assert not case.probe.works()
    case.faulty.faults.clear()
    assert not case.probe.works()
    case.seconds[0] += PROBE_SECONDS
    assert case.probe.works()
    assert case.faulty.held == set()


def test_a_process_whose_keys_cannot_be_used_is_not_ready(case: Case, world: World) -> None:
    database, clock, own = world.database, world.clock, world.issuing.authorities
    ends = Ends(database, world.seal, clock, own, time.monotonic)
    publishing = Publishing(database, clock, own, os.urandom, time.monotonic)
    looks = Looks(database, ends, Budgets(database, clock), publishing, case.probe)
    assert looks.answers()
    case.faulty.faults.add("use")
    case.seconds[0] += PROBE_SECONDS
    assert not looks.answers()
    assert not looks.gauges().keys_usable
