"""The application property template that SELECT returns (SP 800-73-5 part 2, 3.1.1)."""

from __future__ import annotations

from functools import lru_cache

from card_os import tlv
from card_os.piv.establishment import suite_of
from card_os.piv.image import CardImage
from card_os.piv.names import PIX, RID, MechanismTag, Tag

# Every client accepts 4F with the PIX and 79 with the RID. Label and URL are left out, as on most
# cards, because no client shows them.
IDENTIFIERS = tlv.encode(0x4F, PIX) + tlv.encode(0x79, tlv.encode(0x4F, RID))
NO_OBJECT_IDENTIFIER = tlv.encode(0x06, b"\x00")


def of_card(image: CardImage) -> bytes:
    """The template of a card, which lists its algorithms: clients that read it use no others."""
    return _encode(image.algorithms, image.features.management_algorithm, suite_of(image))


# SELECT begins every transaction, and there are few kinds of cards.
@lru_cache(maxsize=64)
def _encode(algorithms: frozenset[int], management: int | None, suite: int | None) -> bytes:
    announced = algorithms | {each for each in (management, suite) if each is not None}
    identifiers = b"".join(
        tlv.encode(MechanismTag.MECHANISM, bytes((each,))) for each in sorted(announced)
    )
    return tlv.encode(
        0x61, IDENTIFIERS, tlv.encode(Tag.CONTROL_REFERENCE, identifiers, NO_OBJECT_IDENTIFIER)
    )
