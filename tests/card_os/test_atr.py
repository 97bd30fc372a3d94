"""Answer to reset (ISO/IEC 7816-3, 8.2)."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import xor

import pytest

from card_os import atr
from card_os.atr import InterfaceBytes
from card_os.piv.algorithms import INTEROPERABLE
from card_os.piv.image import Features
from card_os.piv.names import Algorithm
from support.fakes import new_card, sample_image


def test_the_piv_card() -> None:
    assert new_card().card.atr == bytes.fromhex(
        "3B DF 96 00 81 31 FE 45 80 73 C8 01 DB F9 A0 00 00 03 08 00 00 10 00 E1"
    )


GENERIC = bytes.fromhex("3B DA 96 00 81 31 FE 45 80 31 C0 73 C8 01 DB 82 90 00 45")


@pytest.mark.parametrize("algorithm", [Algorithm.RSA_4096, Algorithm.ED25519, Algorithm.X25519])
def test_a_card_which_announces_more_has_the_generic_one(algorithm: int) -> None:
    """By the other, OpenSC skips SELECT and would not see the announcement."""
    features = Features(algorithms=INTEROPERABLE | {algorithm})
    image = replace(sample_image(), features=features)
    assert new_card(image=image).card.atr == GENERIC


def test_a_card_of_fewer_algorithms_has_the_usual_one() -> None:
    image = replace(sample_image(), features=Features(algorithms=frozenset({Algorithm.ECC_P256})))
    assert new_card(image=image).card.atr == new_card().card.atr


def test_check_byte_makes_the_sum_zero() -> None:
    assert reduce(xor, new_card().card.atr[1:]) == 0


@pytest.mark.parametrize(
    ("groups", "historical", "expected"),
    [
        ([InterfaceBytes()], b"", "3B 00"),  # T=0 alone has no TCK (8.2.5)
        ([InterfaceBytes(ta=0x11)], b"\x80", "3B 11 11 80"),
        ([InterfaceBytes(), InterfaceBytes(1)], b"", "3B 80 01 81"),
        ([InterfaceBytes(tb=0x01), InterfaceBytes(1, tc=0x02)], b"", "3B A0 01 41 02 E2"),
    ],
)
def test_parts(groups: list[InterfaceBytes], historical: bytes, expected: str) -> None:
    assert atr.build(groups, historical) == bytes.fromhex(expected)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="historical"):
        atr.build([InterfaceBytes()], bytes(16))
    with pytest.raises(ValueError, match="group"):
        atr.build([], b"")
    with pytest.raises(ValueError, match="four bits"):
        atr.compact_tlv(0x5, bytes(16))
    with pytest.raises(ValueError, match="four bits"):
        atr.compact_tlv(0x10, b"")
