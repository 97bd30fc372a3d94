"""What operating systems and programs ask before they know what card it is.

Each sequence is one visit. No probe makes the card anything else than a PIV card, or kills it.
"""

from __future__ import annotations

import pytest

from support.fakes import ScriptedKeys, new_card
from support.probes import VISITS, Probe


@pytest.mark.parametrize("visit", VISITS.values(), ids=VISITS)
@pytest.mark.parametrize("opened", [False, True], ids=["basic channel", "another channel"])
def test_a_visit(visit: tuple[Probe, ...], opened: bool) -> None:
    card = new_card(ScriptedKeys())
    if opened:
        assert card.send("00700001") == "9000"
    for _, command, sw in visit:
        raw = bytes.fromhex(command)
        if opened and raw[0] == 0x00:
            raw = b"\x01" + raw[1:]
        answer = card.transmit(raw)
        while answer[-2] == 0x61 and sw == "9000":
            answer = card.transmit(bytes((raw[0], 0xC0, 0, 0, answer[-1])))
        assert answer.hex().upper()[-4:].startswith(sw), command
        assert card.card.fault is None
