"""The card image: the whole card without its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from card_os import tlv
from card_os.administration import CardKey, Changed
from card_os.piv import access, rules
from card_os.piv.algorithms import BLOCK_BYTES, INTEROPERABLE
from card_os.piv.names import CONTAINER_ID, EXTENSION_OBJECTS, CipherSuite, KeyRef, ObjectTag
from card_os.piv.sizes import GUID_BYTES

Value = TypeVar("Value")

PIN_USAGE_POLICY = 0x5F2F  # in the discovery object (part 1, 3.3.2)
GLOBAL_PIN_BIT = 0x20  # of its first byte
SUITES = frozenset(int(suite) for suite in CipherSuite)


@dataclass(frozen=True, slots=True)
class Features:
    """What a card profile switches on. The default is for cards in production."""

    algorithms: frozenset[int] = INTEROPERABLE  # of the keys that the card makes
    management_algorithm: int | None = None
    """The algorithm of key 9B; None means that there is no such key, and the card cannot be
    administered through its reader."""
    global_pin: bool = False
    extensions: bool = False  # the instructions of Yubico's tools, and less strict uses of keys


@dataclass(frozen=True, slots=True)
class CardImage:
    """The data from which a card answers: identity, data objects, and what it knows of its keys.

    Raises ValueError for an unknown data object, key reference or algorithm, and for an object that
    is withheld although everybody can read it.
    """

    serial: str
    guid: bytes  # 16 bytes, as in the CHUID
    objects: Mapping[int, bytes] = field(repr=False)
    """By tag: the contents of the 53; for 7E and 7F61, the contents of the tag itself."""
    keys: Mapping[int, CardKey]
    """By key reference. The algorithm of key 04 is a cipher suite."""
    features: Features = field(default_factory=Features)
    verifiable_certificate: bytes = field(default=b"", repr=False)
    """The certificate of key 04, as the card sends it: template 7F21 (SP 800-73-5 part 2, table
    18)."""
    factory_management_key: bool = False  # whether the management key is the well-known one
    withheld: frozenset[int] = frozenset()
    """Tags of further objects, whose contents only the key service has: it gives them out to
    somebody who has verified the PIN. They are objects that require the PIN."""

    def __post_init__(self) -> None:
        if len(self.guid) != GUID_BYTES:
            raise ValueError(f"the GUID has {len(self.guid)} bytes, not {GUID_BYTES}")
        for tag in self.objects:
            if tag not in CONTAINER_ID and tag not in EXTENSION_OBJECTS:
                raise ValueError(f"no PIV card has a data object {tag:X}")
        for tag in self.withheld:
            if tag not in rules.PIN_OBJECTS or tag in self.objects:
                raise ValueError(f"no PIV card withholds a data object {tag:X}")
        for key_ref, key in self.keys.items():
            if not self._may_have(key_ref, key.algorithm):
                raise ValueError(
                    f"no PIV card has a key {key_ref:02X} of algorithm {key.algorithm:02X}"
                )
        management = self.features.management_algorithm
        if management is not None and management not in BLOCK_BYTES:
            raise ValueError(f"no PIV card has a management key of algorithm {management:02X}")
        # The image copies its mappings, so that a later change of them cannot change the card.
        object.__setattr__(self, "objects", MappingProxyType(dict(self.objects)))
        object.__setattr__(self, "keys", MappingProxyType(dict(self.keys)))

    @property
    def algorithms(self) -> frozenset[int]:
        """The algorithms of private keys that clients may meet: those of the keys that the card
        holds, and those of the keys that it makes. Key 04 has a cipher suite instead.
        """
        held = {key.algorithm for ref, key in self.keys.items() if ref != KeyRef.SECURE_MESSAGING}
        return self.features.algorithms | held

    @property
    def accepts_global_pin(self) -> bool:
        """Whether the card accepts the global PIN in place of its own PIN.

        Both the profile and the discovery object must allow it (part 2, 3.2.1).
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
        """Whether the card has a data object with this tag, even if it is empty."""
        return tag in CONTAINER_ID or (self.features.extensions and tag in EXTENSION_OBJECTS)

    def after(self, changed: Changed) -> CardImage:
        """The image after a stored change. Raises ValueError as the constructor does."""
        features, factory = self.features, self.factory_management_key
        if changed.management_algorithm is not None:
            features = replace(features, management_algorithm=changed.management_algorithm)
            factory = changed.factory_management_key
        keys = _merged(self.keys, changed.keys)
        objects = {**changed.objects, **dict.fromkeys(changed.withheld)}
        has_secure_messaging = KeyRef.SECURE_MESSAGING in keys
        return replace(
            self,
            objects=_merged(self.objects, objects),
            keys=keys,
            features=features,
            verifiable_certificate=self.verifiable_certificate if has_secure_messaging else b"",
            factory_management_key=factory,
            withheld=self.withheld.difference(changed.objects) | changed.withheld,
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
