"""Databases of NSS, the library of Firefox, Thunderbird and Chromium, with OpenSC's module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cloudcard_tools.demo.programs import module, must
from support.system_cards import PIN, LocalCard

LABELS = {0x9A: "PIV Authentication", 0x9C: "Digital Signature", 0x9D: "Key Management"}


@dataclass(frozen=True, slots=True)
class Database:
    """A database with no keys of its own, which knows the card and trusts one authority."""

    folder: Path
    pin_file: Path

    def __call__(self, program: str, *arguments: str | Path) -> str:
        """Run one of NSS's programs; raises StepFailed."""
        return must([program, "-d", self.name, *map(str, arguments)])

    @property
    def name(self) -> str:
        return f"sql:{self.folder}"


def make(folder: Path, authority: Path) -> Database:
    """A new database in the new folder."""
    folder.mkdir(parents=True)
    pin_file = folder / "pin"
    pin_file.write_text(PIN + "\n")
    database = Database(folder, pin_file)
    database("certutil", "-N", "--empty-password")
    database("certutil", "-A", "-n", "authority", "-t", "CT,C,C", "-i", authority)
    must(
        ["modutil", "-force", "-dbdir", database.name, "-add", "OpenSC", "-libfile", str(module())]
    )
    return database


def nickname(card: LocalCard, key_ref: int) -> str:
    """What NSS calls a certificate of the card: the token's label, which is OpenSC's choice of
    a common name, and the certificate's.
    """
    assert key_ref in card.certificates
    return f"Ada 9A:Certificate for {LABELS[key_ref]}"
