"""The application property template, which SELECT returns (SP 800-73-5 part 2, 3.1.1)."""

from __future__ import annotations

from functools import lru_cache

from card_os import tlv
from card_os.piv.establishment import suite_of
from card_os.piv.image import CardImage
from card_os.piv.names import PIX, RID, MechanismTag, Tag

# 4F with the PIX and 79 with the RID: the form that every client accepts. Label and URL are left
# out, as most cards do: nobody shows them.
IDENTIFIERS = tlv.encode(0x4F, PIX) + tlv.encode(0x79, tlv.encode(0x4F, RID))
NO_OBJECT_IDENTIFIER = tlv.encode(0x06, b"\x00")


def of_card(image: CardImage) -> bytes:
    """The template of a card, with the algorithms that it is made for."""
    features = image.features
    return _encode(features.algorithms, features.management_algorithm, suite_of(image))


@lru_cache(maxsize=64)  # cards are of few kinds, and SELECT opens every transaction
def _encode(algorithms: frozenset[int], management: int | None, suite: int | None) -> bytes:
    announced = algorithms | {each for each in (management, suite) if each is not None}
    identifiers = b"".join(
        tlv.encode(MechanismTag.MECHANISM, bytes((each,))) for each in sorted(announced)
    )
    return tlv.encode(
        0x61, IDENTIFIERS, tlv.encode(Tag.CONTROL_REFERENCE, identifiers, NO_OBJECT_IDENTIFIER)
    )
