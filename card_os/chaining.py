"""Long commands in parts, long responses in parts (ISO/IEC 7816-4, 5.3.3 and 5.3.4).

A response longer than Le is cut and goes on with 61XX; the card never answers 6CXX. The reader
talks T=1, where Le is a limit and not an exact length, so the client loses nothing. And 6CXX asks
it to send the command again: a GENERAL AUTHENTICATE would ask the holder twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from card_os.apdu import SHORT_NE, Command
from card_os.status import SW, CardError, bytes_available

LONGEST_COMMAND_DATA = 16 * 1024  # above PIV's largest object, 12710 bytes
LONGEST_RESPONSE_DATA = 65535 - 2  # the reader's frame holds 65535 bytes, two are the status word

_OK = SW.OK.to_bytes(2)


@dataclass(slots=True)
class Chain:
    """The parts of a command that have come so far."""

    first: Command  # part, which has the header of all
    number: int = 0  # of the last part
    data: bytearray = field(default_factory=bytearray, repr=False)

    def continues_with(self, part: Command) -> bool:
        """Whether `part` belongs to this chain; anything else aborts it.

        Raises 6883 for a part in whose class secure messaging begins or ends: all of a chain is
        protected, or nothing (SP 800-73-5 part 2, 4.2).
        """
        first = self.first
        if (part.ins, part.p1, part.p2) != (first.ins, first.p1, first.p2):
            return False
        if part.base_class != first.base_class:
            return False
        if part.is_secured != first.is_secured:
            raise CardError(SW.LAST_COMMAND_EXPECTED, "a chain is protected as a whole")
        return True

    def add(self, part: Command) -> None:
        """Take one more part. Raises 6A84 when there is more than the card holds."""
        if len(self.data) + len(part.data) > LONGEST_COMMAND_DATA:
            raise CardError(SW.NOT_ENOUGH_MEMORY, "chain is too long")
        self.data.extend(part.data)

    def end(self, last: Command) -> Command:
        """The whole command, with its last part. Raises 6A84."""
        self.add(last)
        return replace(last, data=bytes(self.data))


@dataclass(frozen=True, slots=True)
class Rest:
    """Response data of which the reader has the first `fetched` bytes."""

    data: bytes = field(repr=False)
    fetched: int = 0

    def cut(self, ne: int) -> tuple[bytes, Rest | None]:
        """What a reader gets which accepts `ne` data bytes, and what is left to fetch.

        Status word included: 9000, or 61XX as long as something is left. Without Le, which makes
        `ne` zero, data is returned as for a short Le of zero: as cards do, and libykpiv relies on.
        """
        end = self.fetched + min(ne or SHORT_NE, LONGEST_RESPONSE_DATA)
        left = len(self.data) - end
        if left <= 0:
            return self.data[self.fetched :] + _OK, None
        status = bytes_available(left).to_bytes(2)
        return self.data[self.fetched : end] + status, Rest(self.data, end)
