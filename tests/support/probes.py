"""What operating systems and programs ask before they know what card it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Probe(NamedTuple):
    """A command, and what this card says: a status word, or 9000 after all its GET RESPONSE."""

    step: str
    command: str
    sw: str

    @property
    def apdu(self) -> bytes:
        """The command as bytes."""
        return bytes.fromhex(self.command)


SELECT_PIV = Probe("SELECT the PIV application", "00A40400 09 A00000030800001000 00", "9000")

WINDOWS_PLUG_AND_PLAY = (
    Probe("SELECT the plug and play application", "00A40400 0B A0000003974349445F0100 00", "6A82"),
    Probe("GET DATA 7F68, asked for whatever SELECT said", "00CA7F68 00", "6D00"),
    Probe("SELECT the master file", "00A40000 02 3F00 00", "6A82"),
    Probe("SELECT EF.ATR", "00A40200 02 2F01 00", "6A82"),
    Probe("READ BINARY of EF.ATR", "00B00000 00", "6D00"),
    SELECT_PIV,
    Probe("SELECT GIDS", "00A40400 09 A00000039742544659 00", "6A82"),
)
WINDOWS_INBOX_DRIVER = (
    Probe("SELECT PIV with its version", "00A40400 0B A000000308000010000100 00", "9000"),
    Probe("GET DATA, capability container", "00CB3FFF 05 5C035FC107 00", "9000"),
    Probe("GET DATA, card holder unique identifier", "00CB3FFF 05 5C035FC102 00", "9000"),
    Probe("GET DATA, discovery object", "00CB3FFF 03 5C017E 00", "9000"),
    Probe("VERIFY without a PIN: how many tries", "00200080", "63C3"),
)
GLOBAL_PLATFORM = (
    Probe("SELECT whichever is the issuer's domain", "00A40400 00", "6A82"),
    Probe("SELECT GlobalPlatform's issuer", "00A40400 08 A000000151000000 00", "6A82"),
    Probe("SELECT the card manager of old", "00A40400 08 A000000003000000 00", "6A82"),
    Probe("GET DATA, production life cycle", "80CA9F7F 00", "6E00"),
    Probe("GET DATA, card data", "00CA0066 00", "6D00"),
    Probe("INITIALIZE UPDATE", "80500000 08 0001020304050607 00", "6E00"),
    Probe("EXTERNAL AUTHENTICATE, secured", "84820000 10 00000000000000000000000000000000", "6E00"),
    Probe("GET STATUS", "80F24000 02 4F00 00", "6E00"),
    SELECT_PIV,
)
OPENSC = (
    Probe("GET DATA, discovery object", "00CB3FFF 03 5C017E 00", "9000"),
    Probe("SELECT CoolKey", "00A40400 07 627601FF000000 00", "6A82"),
    Probe("SELECT MUSCLE", "00A40400 06 A00000000101", "6A82"),
    Probe("SELECT SmartCard-HSM", "00A40400 0B E82B0601040181C31F0201 00", "6A82"),
    Probe("SELECT the master file", "00A40000 02 3F00 00", "6A82"),
    SELECT_PIV,
    Probe("version of a YubiKey", "00FD0000 00", "6D00"),
    Probe("GET DATA, capability container", "00CB3FFF 05 5C035FC107 00", "9000"),
    Probe("GET DATA, discovery object", "00CB3FFF 03 5C017E 00", "9000"),
    Probe("GET DATA, key history", "00CB3FFF 05 5C035FC10C 00", "9000"),
    Probe("GET DATA, certificate of 9C", "00CB3FFF 05 5C035FC10A 00", "6A82"),
    Probe("VERIFY without a PIN: how many tries", "00200080", "63C3"),
)
GNUPG = (
    Probe("SELECT the master file, no answer wanted", "00A4000C 02 3F00", "6A82"),
    Probe("SELECT OpenPGP", "00A40400 06 D27600012401", "6A82"),
    Probe("SELECT PIV with its version", "00A40400 0B A000000308000010000100 00", "9000"),
    Probe("GET DATA, discovery object", "00CB3FFF 03 5C017E 00", "9000"),
    Probe("GET DATA, card holder unique identifier", "00CB3FFF 05 5C035FC102 00", "9000"),
)
LIBYKPIV = (
    Probe(
        "SELECT PIV without Le; data is expected",
        "00A40400 05 A000000308",
        "9000",
    ),
    Probe("version of a YubiKey", "00FD0000 00", "6D00"),
    Probe("serial number of a YubiKey", "00F80000 00", "6D00"),
    Probe("SELECT one-time passwords", "00A40400 08 A000000527200101 00", "6A82"),
    Probe("VERIFY without a PIN: how many tries", "00200080", "63C3"),
)
READERS = (
    Probe("identifier, which a contactless reader answers itself", "FFCA0000 00", "6E00"),
    Probe("a reader's own command", "FF000000", "6E00"),
    Probe("SELECT the payment environment", "00A40400 0E 325041592E5359532E4444463031 00", "6A82"),
    Probe("GET CHALLENGE", "0084000008", "6D00"),
    SELECT_PIV,
)
VISITS: Mapping[str, tuple[Probe, ...]] = {
    "Windows plug and play": WINDOWS_PLUG_AND_PLAY,
    "Windows inbox driver": WINDOWS_INBOX_DRIVER,
    "GlobalPlatform": GLOBAL_PLATFORM,
    "OpenSC": OPENSC,
    "GnuPG": GNUPG,
    "libykpiv": LIBYKPIV,
    "readers": READERS,
}
