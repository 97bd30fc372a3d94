"""How Windows' drivers speak, by what is documented of them, replayed against our readers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reader_bridge.vpcd import encode
from support.ccid_end import PipeEnd
from support.fakes import CannedKeys, new_card
from support.reader_places import served
from support.vpcd_end import Reader, Ready

ORDERS = Path(__file__).parent / "orders"


def exchanges(name: str, atr: bytes) -> Iterator[tuple[list[bytes], bytes]]:
    """What the driver says, in parts, and how the answer begins."""
    asked: list[bytes] = []
    for line in (ORDERS / name).read_text("utf-8").splitlines():
        words = line[1:].replace("ATR", atr.hex()).split()
        match line[:1]:
            case ">":
                asked = [bytes.fromhex(word) for word in words]
            case "<":
                yield asked, bytes.fromhex("".join(words))


def test_windows_own_driver_for_usb_readers() -> None:
    card = new_card().card
    replayed = 0
    with served("pipe", card, Ready(CannedKeys())) as (reader, _):
        assert isinstance(reader, PipeEnd)
        for asked, begins in exchanges("windows-ccid.txt", card.atr):
            reader.write(b"".join(asked))
            answer = reader.read()
            assert answer[: len(begins)] == begins, b"".join(asked).hex()
            replayed += 1
    assert replayed > 10


def test_vsmartcards_driver_for_windows() -> None:
    card = new_card().card
    replayed = 0
    with served("vpcd", card, Ready(CannedKeys())) as (reader, _):
        assert isinstance(reader, Reader)
        for asked, begins in exchanges("windows-vpcd.txt", card.atr):
            reader.sock.sendall(b"".join(map(encode, asked)))
            answer = reader.receive()
            assert answer.startswith(begins), b"".join(asked).hex()
            assert len(answer) >= 2
            replayed += 1
    assert replayed > 10
