"""Where private keys are: each key says where its private part is, and this is the table of the
backends that use it there.

A backend that asks the holder's phone to use the key is one more row here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from cloud_keystore.custody.backends.making import MadeKey
from cloud_keystore.model.algorithms import Algorithm, KeyUse
from cloud_keystore.model.cards import PKCS11, SOFTWARE, Destroyed, HeldKey, OnToken, Sealed
from cloud_keystore.model.errors import KeyBackendUnavailable, KeyNotFound


class Backend(Protocol):
    """Makes, uses and destroys private keys."""

    def make(self, key_id: str, algorithm: Algorithm) -> MadeKey:
        """Make a key pair. Raises InvalidInput for an algorithm that it does not do."""

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        """Use a key once on each input, which `padding.check` has accepted; see `software.use`.

        Raises MalformedKeyInput; SealBroken; KeyBackendUnavailable.
        """

    def destroy(self, key: HeldKey) -> None:
        """Make sure that the private key is nowhere any more; repeated, do nothing."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The backends by name, and the one that makes new keys."""

    backends: Mapping[str, Backend]
    new: str = SOFTWARE

    def make(self, key_id: str, algorithm: Algorithm) -> MadeKey:
        """Make a key pair; raises as the backend does."""
        return self._backend(self.new).make(key_id, algorithm)

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        """Use a key where it is; raises as its backend does, KeyNotFound for a destroyed one."""
        match key.private:
            case Sealed():
                return self._backend(SOFTWARE).use(key, key_use, inputs)
            case OnToken():
                return self._backend(PKCS11).use(key, key_use, inputs)
            case Destroyed():
                raise KeyNotFound("the key has been destroyed")
        assert_never(key.private)

    def _backend(self, name: str) -> Backend:
        found = self.backends.get(name)
        if found is None:
            raise KeyBackendUnavailable(
                f"the key is in {name}, which this keystore was not told of: start it with the "
                "options of that backend"
            )
        return found
