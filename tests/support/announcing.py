"""What a card announces to whoever selects it."""

from __future__ import annotations

from card_os import piv, tlv
from card_os.piv import CardImage
from card_os.testing import CountedRandom, DrivenCard

SELECT = bytes.fromhex("00A40400 09 A00000030800001000 00")


def announced(image: CardImage) -> list[int]:
    """The algorithms in the response to SELECT."""
    response = DrivenCard(piv.new_card(image, CountedRandom())).transmit(SELECT)
    template = dict(tlv.decode(tlv.decode_one(0x61, response[:-2])))
    return [value[0] for tag, value in tlv.decode(template[0xAC]) if tag == 0x80]
