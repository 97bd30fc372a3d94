"""The data objects of a card (SP 800-73-5 part 1, 3), signed by the issuer.

The encodings are those of the card's own code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from anyascii import anyascii

from card_os.piv.issuing import encode
from card_os.piv.names import (
    ATTESTATION_CERTIFICATE,
    CERTIFICATE_OF_KEY,
    RETIRED_CERTIFICATES,
    KeyRef,
    ObjectTag,
)
from cloud_keystore.model.cards import Card, Key
from cloud_keystore.model.people import User
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.pki import cms, cvc
from cloud_keystore.pki.issuers import Authorities, CardAuthorities

ISSUER = "cloudcard"
AFFILIATION = "cardholder"

# The objects that the security object vouches for if they exist: all but certificates
# (part 1, 3.1.6)
COVERED = {
    1: ObjectTag.CCC,
    2: ObjectTag.PRINTED_INFORMATION,
    3: ObjectTag.DISCOVERY,
    4: ObjectTag.KEY_HISTORY,
    5: ObjectTag.CHUID,
    6: ObjectTag.FINGERPRINTS,
    7: ObjectTag.FACIAL_IMAGE,
    8: ObjectTag.IRIS_IMAGES,
    9: ObjectTag.BIOMETRIC_TEMPLATES,
    10: ObjectTag.PAIRING_CODE,
}


@dataclass(frozen=True, slots=True)
class Contents:
    """A card's data objects by tag, and the tags of those that an administrator wrote, which the
    keystore does not change.
    """

    objects: Mapping[int, bytes]
    written: Collection[int] = frozenset()

    def has_own(self, tag: int) -> bool:
        """Whether the object exists and was written by the keystore."""
        return tag in self.objects and tag not in self.written


def build(
    card: Card, user: User, keys: Collection[Key], authorities: Authorities, now: datetime
) -> dict[int, bytes]:
    """All data objects of a new card, signed at `now`."""
    profile, expiry = PROFILES[card.profile], _date(card)
    own = authorities.of_cards(profile)
    made: dict[int, bytes] = {
        **_identity(card, own, now),
        ObjectTag.DISCOVERY: encode.discovery(global_pin=profile.global_pin),
        ObjectTag.KEY_HISTORY: encode.key_history(),
        **_certificates(keys, own),
    }
    # Yubico's tools keep a secret in the printed information, so the keystore does not write it.
    if profile.extensions:
        made[ATTESTATION_CERTIFICATE] = encode.certificate(authorities.attestation.der)
    else:
        made[ObjectTag.PRINTED_INFORMATION] = encode.printed_information(
            # The standard wants ASCII: transliterated, most names can still be read.
            anyascii(user.display_name),
            AFFILIATION,
            expiry,
            card.serial,
            ISSUER,
        )
    made[ObjectTag.SECURITY_OBJECT] = _security_object(made, own, now)
    return made


def rebuild(
    card: Card,
    keys: Collection[Key],
    contents: Contents,
    authorities: Authorities,
    now: datetime,
    *,
    new_guid: bool,
    touched: Collection[int] = (),
) -> dict[int, bytes]:
    """The data objects that must be replaced after a key or an object of a card has changed.

    `contents` are the card's after the change, `touched` the tags that were changed in them. With
    `new_guid`, CHUID, CCC and the certificates of `keys` are replaced. The key history follows the
    certificates of retired keys. The security object is signed again if an object that it vouches
    for has changed. Objects that an administrator wrote or removed are not changed.
    """
    own = authorities.of_cards(PROFILES[card.profile])
    fresh: dict[int, bytes] = {}
    if new_guid:
        fresh = _identity(card, own, now) | _certificates(keys, own)
    return _changed(fresh, contents, own, now, touched)


def renew(
    card: Card,
    user: User,
    keys: Collection[Key],
    contents: Contents,
    authorities: Authorities,
    now: datetime,
) -> dict[int, bytes]:
    """The data objects that must be replaced on a card that has become another: all that a new card
    has. `contents` are the card's; those that an administrator wrote or removed are not changed.
    """
    fresh = build(card, user, keys, authorities, now)
    del fresh[ObjectTag.SECURITY_OBJECT]  # signed below, over what the card has then
    return _changed(fresh, contents, authorities.of_cards(PROFILES[card.profile]), now)


def _changed(
    fresh: dict[int, bytes],
    contents: Contents,
    own: CardAuthorities,
    now: datetime,
    touched: Collection[int] = (),
) -> dict[int, bytes]:
    retired = sum(tag in contents.objects for tag in RETIRED_CERTIFICATES)
    fresh[ObjectTag.KEY_HISTORY] = encode.key_history(on_card=retired)
    changed = {
        tag: value
        for tag, value in fresh.items()
        if contents.has_own(tag) and contents.objects[tag] != value
    }
    vouched = set(COVERED.values()).intersection((*changed, *touched))
    if vouched and contents.has_own(ObjectTag.SECURITY_OBJECT):
        after = {**contents.objects, **changed}
        changed[ObjectTag.SECURITY_OBJECT] = _security_object(after, own, now)
    return changed


def _identity(card: Card, authorities: CardAuthorities, now: datetime) -> dict[int, bytes]:
    """The objects that identify the card."""
    covered = encode.chuid_covered(card.guid, _date(card))
    signature = cms.chuid_signature(covered, authorities.content, now)
    return {
        ObjectTag.CHUID: encode.chuid(card.guid, _date(card), signature),
        ObjectTag.CCC: encode.ccc(card.guid),
    }


def _certificates(keys: Collection[Key], authorities: CardAuthorities) -> dict[int, bytes]:
    made: dict[int, bytes] = {
        CERTIFICATE_OF_KEY[key.key_ref]: encode.certificate(key.certificate)
        for key in keys
        if key.certificate and key.key_ref != KeyRef.SECURE_MESSAGING
    }
    for key in keys:
        if key.key_ref == KeyRef.SECURE_MESSAGING:
            signer = cvc.signer(key.algorithm, authorities)
            made[ObjectTag.SECURE_MESSAGING_SIGNER] = encode.certificate(signer.der)
    return made


def _security_object(
    objects: Mapping[int, bytes], authorities: CardAuthorities, now: datetime
) -> bytes:
    groups = {number: tag for number, tag in COVERED.items() if tag in objects}
    covered = {number: objects[tag] for number, tag in groups.items()}
    signed = cms.lds_security_object(covered, authorities.content, now)
    return encode.security_object(groups, signed)


def _date(card: Card) -> str:
    return card.expire_time.strftime("%Y%m%d")
