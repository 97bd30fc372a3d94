"""All of a card that is not secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from card_os import tlv
from card_os.administration import CardKey, Changed
from card_os.piv import access
from card_os.piv.algorithms import BLOCK_BYTES, INTEROPERABLE
from card_os.piv.names import CONTAINER_ID, EXTENSION_OBJECTS, CipherSuite, KeyRef, ObjectTag
from card_os.piv.sizes import GUID_BYTES

Value = TypeVar("Value")

PIN_USAGE_POLICY = 0x5F2F  # in the discovery object (part 1, 3.3.2)
GLOBAL_PIN_BIT = 0x20  # of its first byte
SUITES = frozenset(int(suite) for suite in CipherSuite)


@dataclass(frozen=True, slots=True)
class Features:
    """What a card profile switches on. The default is a card in production."""

    algorithms: frozenset[int] = INTEROPERABLE  # of the keys that it makes
    management_algorithm: int | None = None
    """Of key 9B; None: there is no such key, and nobody administers the card through its reader."""
    global_pin: bool = False
    extensions: bool = False  # the instructions of Yubico's tools, and keys used as one likes


@dataclass(frozen=True, slots=True)
class CardImage:
    """What the card shows: identity, data objects, and which keys it can ask to be used.

    Raises ValueError for what no PIV card has: an unknown data object, key reference or algorithm.
    """

    serial: str
    guid: bytes  # 16 bytes, as in the CHUID
    objects: Mapping[int, bytes] = field(repr=False)
    """By tag, what stands inside the 53; for 7E and 7F61, inside the tag itself."""
    keys: Mapping[int, CardKey]
    """By key reference. Key 04 has a cipher suite for its algorithm."""
    features: Features = field(default_factory=Features)
    verifiable_certificate: bytes = field(default=b"", repr=False)
    """Of key 04, as the card sends it: template 7F21 (SP 800-73-5 part 2, table 18)."""

    def __post_init__(self) -> None:
        if len(self.guid) != GUID_BYTES:
            raise ValueError(f"the GUID has {len(self.guid)} bytes, not {GUID_BYTES}")
        for tag in self.objects:
            if tag not in CONTAINER_ID and tag not in EXTENSION_OBJECTS:
                raise ValueError(f"no PIV card has a data object {tag:X}")
        for key_ref, key in self.keys.items():
            if not self._may_have(key_ref, key.algorithm):
                raise ValueError(
                    f"no PIV card has a key {key_ref:02X} of algorithm {key.algorithm:02X}"
                )
        management = self.features.management_algorithm
        if management is not None and management not in BLOCK_BYTES:
            raise ValueError(f"no PIV card has a management key of algorithm {management:02X}")
        # A copy: nobody changes a card by changing the mapping it was made from.
        object.__setattr__(self, "objects", MappingProxyType(dict(self.objects)))
        object.__setattr__(self, "keys", MappingProxyType(dict(self.keys)))

    @property
    def accepts_global_pin(self) -> bool:
        """Whether the global PIN opens the card as its own PIN does.

        Besides the profile, the discovery object has to say so (part 2, 3.2.1).
        """
        if not self.features.global_pin:
            return False
        try:
            discovery = dict(tlv.decode(self.objects.get(ObjectTag.DISCOVERY, b"")))
        except tlv.TlvError:
            return False
        policy = discovery.get(PIN_USAGE_POLICY, b"")
        return bool(policy) and bool(policy[0] & GLOBAL_PIN_BIT)

    def has_object(self, tag: int) -> bool:
        """Whether the card has a data object of this tag, be it without contents."""
        return tag in CONTAINER_ID or (self.features.extensions and tag in EXTENSION_OBJECTS)

    def after(self, changed: Changed) -> CardImage:
        """The card after a stored change. Raises ValueError for what no PIV card has."""
        features = self.features
        if changed.management_algorithm is not None:
            features = replace(features, management_algorithm=changed.management_algorithm)
        keys = _merged(self.keys, changed.keys)
        has_secure_messaging = KeyRef.SECURE_MESSAGING in keys
        return replace(
            self,
            objects=_merged(self.objects, changed.objects),
            keys=keys,
            features=features,
            verifiable_certificate=self.verifiable_certificate if has_secure_messaging else b"",
        )

    def _may_have(self, key_ref: int, algorithm: int) -> bool:
        if key_ref == KeyRef.SECURE_MESSAGING:
            return algorithm in SUITES
        return access.exists(key_ref, algorithm, extensions=self.features.extensions)


def _merged(
    before: Mapping[int, Value], changed: Mapping[int, Value | None]
) -> Mapping[int, Value]:
    after: Mapping[int, Value | None] = {**before, **changed}
    return {number: value for number, value in after.items() if value is not None}
