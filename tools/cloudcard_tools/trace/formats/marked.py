"""Logs with an APDU on one line, after a mark of their program: pcscd, ykman, yubico-piv-tool,
GlobalPlatformPro; and scriptor, which continues long responses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from card_os.trace.lines import Line, Power
from cloudcard_tools.trace.formats import apdus
from cloudcard_tools.trace.formats.apdus import PAIRS
from cloudcard_tools.trace.formats.text import Texts


@dataclass(frozen=True, slots=True)
class Marks:
    """How a program marks commands and responses. The groups of a pattern are the parts of the
    APDU.
    """

    sent: re.Pattern[str]
    received: re.Pattern[str]

    def read(self, texts: Texts) -> Iterator[Line]:
        """Read the lines that have a mark."""
        for text in texts:
            if found := self.sent.search(text):
                yield apdus.sent(_whole(found))
            elif found := self.received.search(text):
                yield apdus.received(_whole(found))


def _whole(found: re.Match[str]) -> bytes:
    return apdus.octets("".join(group for group in found.groups() if group))


PCSCD = Marks(
    re.compile(rf"(?:^|\s)APDU: ({PAIRS})$", re.ASCII),
    re.compile(rf"(?:^|\s)SW: ({PAIRS})$", re.ASCII),
)
YKMAN = Marks(
    re.compile(rf"\bSEND: ({PAIRS})$", re.ASCII),
    re.compile(rf"\bRECV: ({PAIRS})? ?SW=([0-9A-Fa-f]{{4}})$", re.ASCII),
)
# `A>> T=1 (4+0008) 00200080 08 …` and `A<< (0000+2) (12ms) 9000`; newer ones write less.
GLOBALPLATFORM = Marks(
    re.compile(rf"(?:^|\s)A?>> (?:T=[01CL]+ )?(?:\([\d+]+\) )?({PAIRS})$", re.ASCII),
    re.compile(rf"(?:^|\s)A?<< (?:\([\d+]+\) )?(?:\([\dms]+\) )?({PAIRS})$", re.ASCII),
)

SCRIPT_SENT = re.compile(rf"^(?:>|Sending:) ({PAIRS})$", re.ASCII)
SCRIPT_RECEIVED = re.compile(r"^(?:<|Received:) ((?:[0-9A-F]{2} ?)+)(: \S.*)?$", re.ASCII)
SCRIPT_CONTINUED = re.compile(r"^((?:[0-9A-F]{2} ?)+)(: \S.*)?$", re.ASCII)
SCRIPT_RESET = "> RESET"


def scriptor(texts: Texts) -> Iterator[Line]:
    """Read what scriptor and gscriptor print. A response ends with the words for its status."""
    for text in texts:
        if text == SCRIPT_RESET:
            yield Power.RESET
        elif found := SCRIPT_SENT.match(text):
            yield apdus.sent(apdus.octets(found[1]))
        elif found := SCRIPT_RECEIVED.match(text):
            yield apdus.received(_to_its_words(texts, found))


def _to_its_words(texts: Texts, found: re.Match[str]) -> bytes:
    """The bytes from this line to the one with the words, or, of gscriptor, before it."""
    data = apdus.octets(found[1])
    if found[2]:
        return data
    for text in texts:
        more = SCRIPT_CONTINUED.match(text)
        if more is None:
            texts.put_back(text)
            return data
        data += apdus.octets(more[1])
        if more[2]:
            return data
    raise apdus.CutShort
