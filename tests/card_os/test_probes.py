"""What operating systems and programs ask before they know what card it is.

Each sequence is one visit. No probe makes the card anything else than a PIV card, or kills it.
"""

from __future__ import annotations

import pytest

from fakes import ScriptedKeys, new_card

SELECT_PIV = ("00A40400 09 A00000030800001000 00", "9000")

WINDOWS_PLUG_AND_PLAY = (
    ("00A40400 0B A0000003974349445F0100 00", "6A82"),  # the discovery application
    ("00CA7F68 00", "6D00"),  # asked for whatever SELECT said
    ("00A40000 02 3F00 00", "6A82"),  # master file
    ("00A40200 02 2F01 00", "6A82"),  # EF.ATR
    ("00B00000 00", "6D00"),
    SELECT_PIV,
    ("00A40400 09 A00000039742544659 00", "6A82"),  # GIDS
)
WINDOWS_INBOX_DRIVER = (
    ("00A40400 0B A000000308000010000100 00", "9000"),
    ("00CB3FFF 05 5C035FC107 00", "9000"),
    ("00CB3FFF 05 5C035FC102 00", "9000"),
    ("00CB3FFF 03 5C017E 00", "9000"),
    ("00200080", "63C3"),
)
GLOBAL_PLATFORM = (
    ("00A40400 00", "6A82"),  # whichever is the issuer's domain
    ("00A40400 08 A000000151000000 00", "6A82"),
    ("00A40400 08 A000000003000000 00", "6A82"),
    ("80CA9F7F 00", "6E00"),
    ("00CA0066 00", "6D00"),
    ("80500000 08 0001020304050607 00", "6E00"),
    ("84820000 10 00000000000000000000000000000000", "6E00"),
    ("80F24000 02 4F00 00", "6E00"),
    SELECT_PIV,
)
OPENSC = (
    ("00CB3FFF 03 5C017E 00", "9000"),  # before any SELECT
    ("00A40400 07 627601FF000000 00", "6A82"),  # CoolKey
    ("00A40400 06 A00000000101", "6A82"),  # MUSCLE
    ("00A40400 0B E82B0601040181C31F0201 00", "6A82"),  # SmartCard-HSM
    ("00A40000 02 3F00 00", "6A82"),
    SELECT_PIV,
    ("00FD0000 00", "6D00"),  # version of a YubiKey
    ("00CB3FFF 05 5C035FC107 00", "9000"),
    ("00CB3FFF 03 5C017E 00", "9000"),
    ("00CB3FFF 05 5C035FC10C 00", "9000"),
    ("00CB3FFF 05 5C035FC10A 00", "6A82"),
    ("00200080", "63C3"),
)
GNUPG = (
    ("00A4000C 02 3F00", "6A82"),
    ("00A40400 06 D27600012401", "6A82"),  # OpenPGP
    ("00A40400 0B A000000308000010000100 00", "9000"),
    ("00CB3FFF 03 5C017E 00", "9000"),
    ("00CB3FFF 05 5C035FC102 00", "9000"),
)
LIBYKPIV = (
    ("00A40400 05 A000000308", "9000"),  # without Le, and its data is expected all the same
    ("00FD0000 00", "6D00"),
    ("00F80000 00", "6D00"),
    ("00A40400 08 A000000527200101 00", "6A82"),  # one-time passwords
    ("00200080", "63C3"),
)
READERS = (
    ("FFCA0000 00", "6E00"),  # a contactless reader's own
    ("FF000000", "6E00"),
    ("00A40400 0E 325041592E5359532E4444463031 00", "6A82"),  # payment
    ("0084000008", "6D00"),
    SELECT_PIV,
)
VISITS = {
    "Windows plug and play": WINDOWS_PLUG_AND_PLAY,
    "Windows inbox driver": WINDOWS_INBOX_DRIVER,
    "GlobalPlatform": GLOBAL_PLATFORM,
    "OpenSC": OPENSC,
    "GnuPG": GNUPG,
    "libykpiv": LIBYKPIV,
    "readers": READERS,
}


@pytest.mark.parametrize("visit", VISITS.values(), ids=VISITS)
@pytest.mark.parametrize("opened", [False, True], ids=["basic channel", "another channel"])
def test_a_visit(visit: tuple[tuple[str, str], ...], opened: bool) -> None:
    card = new_card(ScriptedKeys())
    if opened:
        assert card.send("00700001") == "9000"
    for command, sw in visit:
        raw = bytes.fromhex(command)
        if opened and raw[0] == 0x00:
            raw = b"\x01" + raw[1:]
        answer = card.transmit(raw)
        while answer[-2] == 0x61 and sw == "9000":
            answer = card.transmit(bytes((raw[0], 0xC0, 0, 0, answer[-1])))
        assert answer.hex().upper()[-4:].startswith(sw), command
        assert card.card.fault is None
