"""An administrator's changes of a local card: each returns the new state and the difference.

All raise ChangeRefused if the change is not possible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from card_os.administration import (
    Changed,
    GenerateKey,
    ImportKey,
    MoveKey,
    ResetCard,
    SetManagementKey,
    SetTries,
    WriteObject,
)
from card_os.keys import Refusal
from card_os.piv import rules
from card_os.piv.algorithms import MANAGEMENT_KEY_BYTES
from card_os.piv.names import CERTIFICATE_OF_KEY, KeyRef
from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY, LARGEST_OBJECT, MOST_TRIES, ROOM
from card_os.piv.yubico.attestation import extensions
from private_keys.keys import BadKey
from reader_bridge.local import certificates, private_keys
from reader_bridge.local.card import (
    FACTORY_PASSCODES,
    LocalCard,
    LocalKey,
    Passcode,
    factory_objects,
    factory_passcodes,
)

Change: TypeAlias = (
    WriteObject | GenerateKey | ImportKey | MoveKey | SetManagementKey | SetTries | ResetCard
)
Outcome: TypeAlias = tuple[LocalCard, Changed]


class ChangeRefused(Exception):
    """A change was refused, and the card stays as it was."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal


def apply(card: LocalCard, change: Change) -> Outcome:
    """The card after a change, and what has changed. Raises ChangeRefused."""
    match change:
        case WriteObject():
            return _write(card, change)
        case GenerateKey():
            return _generate(card, change)
        case ImportKey():
            return _import(card, change)
        case MoveKey():
            return _move(card, change)
        case SetManagementKey():
            return _set_management_key(card, change)
        case SetTries():
            return _set_tries(card, change)
        case ResetCard():
            return _reset(card)


def attestation(card: LocalCard, key_ref: int) -> bytes:
    """A certificate, in DER, which states that a key was made on the card. Raises ChangeRefused."""
    key = card.keys.get(key_ref)
    if key is None or key_ref not in CERTIFICATE_OF_KEY:
        raise ChangeRefused(Refusal.UNKNOWN_KEY)
    if key.imported or card.attester is None:
        raise ChangeRefused(Refusal.DENIED)
    attester = card.attester
    return certificates.attest(
        key_ref,
        private_keys.load(key.algorithm, key.private),
        private_keys.load(attester.key.algorithm, attester.key.private),
        attester.certificate,
        extensions(card.serial, key_ref, key.pin_policy, key.touch_policy),
    )


def _write(card: LocalCard, change: WriteObject) -> Outcome:
    changed = card.with_object(change.tag, change.contents)
    if len(change.contents) > LARGEST_OBJECT or _size(changed.objects) > ROOM:
        raise ChangeRefused(Refusal.FULL)
    _require_possible(changed)
    return changed, Changed(objects={change.tag: change.contents or None})


def _generate(card: LocalCard, change: GenerateKey) -> Outcome:
    _require_algorithm(card, change.algorithm)
    key = LocalKey(
        change.algorithm,
        private_keys.generate(change.algorithm),
        change.pin_policy,
        change.touch_policy,
    )
    return _put(card, change.key_ref, key)


def _import(card: LocalCard, change: ImportKey) -> Outcome:
    _require_algorithm(card, change.algorithm)
    try:
        private_keys.check(change.algorithm, change.private)
    except BadKey as error:
        raise ChangeRefused(Refusal.MALFORMED) from error
    key = LocalKey(
        change.algorithm, change.private, change.pin_policy, change.touch_policy, imported=True
    )
    return _put(card, change.key_ref, key)


def _put(card: LocalCard, key_ref: int, key: LocalKey) -> Outcome:
    if key_ref not in CERTIFICATE_OF_KEY:  # key 04: its certificate would no longer match
        raise ChangeRefused(Refusal.UNKNOWN_KEY)
    changed = card.with_key(key_ref, key)
    _require_possible(changed)
    return changed, Changed(keys={key_ref: key.shown()})


def _move(card: LocalCard, change: MoveKey) -> Outcome:
    key = card.keys.get(change.source)
    if key is None or change.source not in CERTIFICATE_OF_KEY:
        raise ChangeRefused(Refusal.UNKNOWN_KEY)
    gone = card.with_key(change.source, None)
    if change.destination is None:
        return gone, Changed(keys={change.source: None})
    if change.destination not in CERTIFICATE_OF_KEY:
        raise ChangeRefused(Refusal.UNKNOWN_KEY)
    if change.destination in card.keys:
        raise ChangeRefused(Refusal.DENIED)
    # Its policies were settled when it was made, and stay.
    settled = replace(key, pin_policy=rules.pin_policy(change.source, key.pin_policy))
    moved = gone.with_key(change.destination, settled)
    _require_possible(moved)
    return moved, Changed(keys={change.source: None, change.destination: settled.shown()})


def _set_management_key(card: LocalCard, change: SetManagementKey) -> Outcome:
    if MANAGEMENT_KEY_BYTES.get(change.algorithm) != len(change.key):
        raise ChangeRefused(Refusal.MALFORMED)
    changed = replace(card, management_algorithm=change.algorithm, management_key=change.key)
    return changed, Changed(
        management_algorithm=change.algorithm,
        factory_management_key=changed.has_factory_management_key,
    )


def _set_tries(card: LocalCard, change: SetTries) -> Outcome:
    counts = {KeyRef.PIN: change.pin_tries, KeyRef.PUK: change.puk_tries}
    if not all(1 <= count <= MOST_TRIES for count in counts.values()):
        raise ChangeRefused(Refusal.MALFORMED)
    for key_ref, count in counts.items():
        card = card.with_passcode(key_ref, Passcode(FACTORY_PASSCODES[key_ref], count, count))
    return card, Changed()


def _reset(card: LocalCard) -> Outcome:
    """Restore the factory state; the card's identity and its attestation key stay."""
    both = (card.passcodes[KeyRef.PIN], card.passcodes[KeyRef.PUK])
    features = card.profile.features
    if not features.extensions or any(passcode.tries for passcode in both):
        raise ChangeRefused(Refusal.DENIED)
    algorithm = features.management_algorithm
    objects = factory_objects(card)
    fresh = replace(
        card,
        passcodes=factory_passcodes(card.profile),
        objects=objects,
        keys={},
        management_algorithm=algorithm,
        management_key=FACTORY_MANAGEMENT_KEY if algorithm is not None else b"",
    )
    return fresh, Changed(
        objects={**dict.fromkeys(card.objects), **objects},
        keys=dict.fromkeys(card.keys),
        management_algorithm=algorithm,
        factory_management_key=fresh.has_factory_management_key,
    )


def _require_algorithm(card: LocalCard, algorithm: int) -> None:
    if algorithm not in card.profile.features.algorithms:
        raise ChangeRefused(Refusal.MALFORMED)


def _require_possible(card: LocalCard) -> None:
    """Check before a change is stored that the card still has a valid image."""
    try:
        card.image()
    except ValueError as error:
        raise ChangeRefused(Refusal.MALFORMED) from error


def _size(objects: Mapping[int, bytes]) -> int:
    return sum(map(len, objects.values()))
