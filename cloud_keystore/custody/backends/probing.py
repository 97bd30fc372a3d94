"""Tries whether keys can be used, by one that belongs to no card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from card_os.piv.names import Algorithm, KeyRef
from card_os.uses import KeyUse
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.model.cards import HeldKey, OnToken
from cloud_keystore.model.clock import Clock, Random, new_id

log = structlog.get_logger()

PROBE_SECONDS = 10.0
TOKEN_SECONDS = 600.0  # of a key that is written into a token, and destroyed there


@dataclass(slots=True)
class Probe:
    """Makes a key where new keys are made, signs with it, checks the signature, and destroys it."""

    keys: Keys
    clock: Clock
    random: Random
    monotonic: Callable[[], float]
    _works: bool = field(default=True, init=False)
    _next_look: float = field(default=0.0, init=False)

    def works(self) -> bool:
        """Whether a key could be used when this last tried; can block."""
        now = self.monotonic()
        if now >= self._next_look:
            pause = PROBE_SECONDS
            try:
                pause = self._try()
                self._works = True
            except Exception as error:
                self._works = False
                log.critical("no key can be used", error=type(error).__name__)
            self._next_look = now + pause
        return self._works

    def _try(self) -> float:
        """Returns the seconds until the next time. Raises what the backend raises, and
        InvalidSignature.
        """
        key = self._make()
        try:
            self._sign(key)
        finally:
            self.keys.destroy(key)
        return TOKEN_SECONDS if isinstance(key.private, OnToken) else PROBE_SECONDS

    def _make(self) -> HeldKey:
        key_id, algorithm = new_id(self.clock(), self.random), Algorithm.ECC_P256
        made = self.keys.make(key_id, algorithm)
        return HeldKey(
            id=key_id,
            card_id="",
            key_ref=KeyRef.AUTHENTICATION,
            algorithm=algorithm,
            certificate=b"",
            create_time=self.clock(),
            public_key=made.public_der,
            private=made.private,
        )

    def _sign(self, key: HeldKey) -> None:
        digest = self.random(SHA256.digest_size)
        (signature,) = self.keys.use(key, KeyUse.SIGN, [digest])
        public = load_der_public_key(key.public_key)
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise InvalidSignature
        public.verify(signature, digest, ec.ECDSA(Prehashed(SHA256())))
