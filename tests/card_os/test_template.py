"""The application property template (SP 800-73-5 part 2, 3.1.1), as clients read it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from card_os import tlv
from card_os.piv.algorithms import INTEROPERABLE
from card_os.piv.image import Features
from card_os.piv.names import Algorithm, Cipher
from card_os.piv.template import of_card
from support.fakes import sample_image

USUAL = {0x05, 0x07, 0x11, 0x14}


def announced(features: Features) -> list[int]:
    """The algorithm identifiers in AC; checks the rest of it on the way."""
    template = dict(
        tlv.decode(tlv.decode_one(0x61, of_card(replace(sample_image(), features=features))))
    )
    *algorithms, (last, no_identifier) = tlv.decode(template[0xAC])
    assert (last, no_identifier) == (0x06, b"\x00")
    assert {tag for tag, _ in algorithms} == {0x80}
    assert {len(value) for _, value in algorithms} == {1}
    return [value[0] for _, value in algorithms]


def test_identifiers_are_in_the_form_that_clients_compare() -> None:
    """GnuPG wants version 01 00 at the end of 4F, and 79 to hold a RID; both first."""
    template = list(tlv.decode(tlv.decode_one(0x61, of_card(sample_image()))))
    assert template[0] == (0x4F, bytes.fromhex("000010000100"))
    assert template[1] == (0x79, bytes.fromhex("4F05A000000308"))
    assert [tag for tag, _ in template[2:]] == [0xAC]


@pytest.mark.parametrize(
    ("what", "features", "expected"),
    [
        ("production", Features(), USUAL),
        ("with a management key", Features(management_algorithm=Cipher.AES_256), USUAL | {0x0C}),
        (
            "with what others have too",
            Features(algorithms=INTEROPERABLE | {Algorithm.RSA_4096, Algorithm.ED25519}),
            USUAL | {0x16, 0xE0},
        ),
        ("one", Features(algorithms=frozenset({Algorithm.ECC_P256})), {0x11}),
    ],
)
def test_algorithms_are_announced_once_each(
    what: str, features: Features, expected: set[int]
) -> None:
    assert announced(features) == sorted(expected), what
