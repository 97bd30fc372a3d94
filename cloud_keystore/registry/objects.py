"""The data objects of a new card (SP 800-73-5 part 1, 3), signed by the issuer.

The encodings are the card's own: the one place where the keystore uses the card's code.
"""

from __future__ import annotations

from card_os.piv import encode
from card_os.piv.names import CERTIFICATE_OF_KEY, ObjectTag
from cloud_keystore.model.cards import Card, Key
from cloud_keystore.model.people import User
from cloud_keystore.registry import signed_data
from cloud_keystore.registry.authorities import Authority

ISSUER = "cloudcard"
AFFILIATION = "cardholder"

# What the security object vouches for: all that is not signed itself (part 1, 3.1.6)
COVERED = {
    1: ObjectTag.CCC,
    2: ObjectTag.PRINTED_INFORMATION,
    3: ObjectTag.DISCOVERY,
    4: ObjectTag.KEY_HISTORY,
}


def build(card: Card, user: User, keys: list[Key], content: Authority) -> dict[int, bytes]:
    """Contents of a card's data objects by tag; `content` signs CHUID and security object."""
    expiry, now = card.expire_time.strftime("%Y%m%d"), card.create_time
    signature = signed_data.chuid_signature(encode.chuid_covered(card.guid, expiry), content, now)
    objects: dict[int, bytes] = {
        ObjectTag.CHUID: encode.chuid(card.guid, expiry, signature),
        ObjectTag.CCC: encode.ccc(card.guid),
        ObjectTag.DISCOVERY: encode.discovery(),
        ObjectTag.KEY_HISTORY: encode.key_history(),
        ObjectTag.PRINTED_INFORMATION: encode.printed_information(
            user.display_name, AFFILIATION, expiry, card.serial, ISSUER
        ),
    }
    for key in keys:
        objects[CERTIFICATE_OF_KEY[key.key_ref]] = encode.certificate(key.certificate)
    covered = {number: objects[tag] for number, tag in COVERED.items()}
    signed = signed_data.lds_security_object(covered, content, now)
    objects[ObjectTag.SECURITY_OBJECT] = encode.security_object(COVERED, signed)
    return objects
