"""A token whose keys are numbers in this process, which is away, slow or killed as a test says."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.custody.backends.keys import Keys, MadeKey
from cloud_keystore.custody.backends.software import SoftwareKeys
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.cards import PKCS11, SOFTWARE, Destroyed, HeldKey, OnToken
from cloud_keystore.model.errors import InvalidInput, KeyBackendUnavailable
from support.keystore_world import World

SEAL = Seal(b"\x07" * 32, os.urandom)


def nothing() -> None:
    """What happens after a key was made: nothing."""


@dataclass
class FakeToken:
    """Holds handles. `after` is called when a key is in the token and nobody was told."""

    held: set[bytes] = field(default_factory=set)
    away: bool = False
    after: Callable[[], None] = nothing

    def make(self, key_id: str, algorithm: Algorithm) -> MadeKey:
        if algorithm is not Algorithm.ECC_P256:
            raise InvalidInput(f"the token makes no keys of {algorithm.name}: use ECC_P256")
        self._answer()
        handle = UUID(key_id).bytes
        assert handle not in self.held
        self.held.add(handle)
        self.after()
        public = ec.generate_private_key(ec.SECP256R1()).public_key()
        return MadeKey(public, OnToken(handle, SEAL.close(b"mark", key_id)))

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        raise NotImplementedError

    def destroy(self, key: HeldKey) -> None:
        match key.private:
            case OnToken(handle) | Destroyed(bytes(handle)):
                self.destroy_handle(handle)

    def destroy_handle(self, handle: bytes) -> None:
        self._answer()
        self.held.discard(handle)

    def handles(self) -> list[bytes]:
        return list(self.held)

    def _answer(self) -> None:
        if self.away:
            raise KeyBackendUnavailable("the token is not there: connect it")


def on_token(world: World) -> FakeToken:
    """Let the world make its keys in a token."""
    token = FakeToken()
    custody = Keys({SOFTWARE: SoftwareKeys(world.seal), PKCS11: token}, PKCS11)
    spares = replace(world.issuing.spares, custody=custody)
    world.issuing = replace(world.issuing, spares=spares)
    world.replacing = replace(world.replacing, issuing=world.issuing)
    world.prolonging = replace(world.prolonging, spares=spares)
    world.administration = replace(world.administration, spares=spares)
    return token
