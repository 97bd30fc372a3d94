"""Long commands in parts, long responses in parts (ISO/IEC 7816-4, 5.3.3 and 5.3.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from card_os.apdu import Command
from card_os.status import SW, CardError, bytes_available

LONGEST_COMMAND_DATA = 16 * 1024  # above PIV's largest object, 12710 bytes
LONGEST_RESPONSE_DATA = 65535 - 2  # the reader's frame holds 65535 bytes, two are the status word

_OK = SW.OK.to_bytes(2)


@dataclass(frozen=True, slots=True)
class Chain:
    """The parts of a command that have come so far, put together, and the command's number."""

    number: int
    command: Command

    def continues_with(self, part: Command) -> bool:
        """Whether `part` belongs to this chain; anything else aborts it."""
        so_far = self.command
        return (part.ins, part.p1, part.p2) == (so_far.ins, so_far.p1, so_far.p2)

    def join(self, part: Command) -> Command:
        """The command with one more part. Raises 6A84 when it grows beyond what the card holds."""
        data = self.command.data + part.data
        if len(data) > LONGEST_COMMAND_DATA:
            raise CardError(SW.NOT_ENOUGH_MEMORY, "chain is too long")
        return replace(part, data=data)


def cut(data: bytes, ne: int) -> tuple[bytes, bytes]:
    """The response that a reader gets which accepts `ne` data bytes, and the data still to fetch.

    Status word included: 9000, or 61XX as long as data is left.
    """
    size = min(ne, LONGEST_RESPONSE_DATA)
    rest = data[size:]
    if not rest:
        return data + _OK, b""
    return data[:size] + bytes_available(len(rest)).to_bytes(2), rest
