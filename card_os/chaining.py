"""Command chaining and GET RESPONSE (ISO/IEC 7816-4, 5.3.3 and 5.3.4).

A response longer than Le is cut and continues with 61XX; the card never answers 6CXX. The reader
uses T=1, where Le is a limit and not an exact length, so the client loses nothing. 6CXX would make
the client repeat the command, and a repeated GENERAL AUTHENTICATE would ask the holder twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from card_os.apdu import SHORT_NE, Command
from card_os.status import SW, CardError, bytes_available

LONGEST_COMMAND_DATA = 16 * 1024  # above PIV's largest object, 12710 bytes
LONGEST_RESPONSE_DATA = 65535 - 2  # the reader's frame without the status word

_OK = SW.OK.to_bytes(2)


@dataclass(slots=True)
class Chain:
    """The parts of a command that the card has received so far."""

    first: Command  # the first part, whose header all parts share
    number: int = 0  # of the last part
    data: bytearray = field(default_factory=bytearray, repr=False)

    def continues_with(self, part: Command) -> bool:
        """Whether `part` belongs to this chain; any other command aborts the chain.

        Raises 6883 if secure messaging begins or ends at this part: a chain is protected as a whole
        or not at all (SP 800-73-5 part 2, 4.2).
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
        """Append one more part. Raises 6A84 if the data exceeds what the card can hold."""
        if len(self.data) + len(part.data) > LONGEST_COMMAND_DATA:
            raise CardError(SW.NOT_ENOUGH_MEMORY, "chain is too long")
        self.data.extend(part.data)

    def end(self, last: Command) -> Command:
        """The whole command, including its last part. Raises 6A84 as `add` does."""
        self.add(last)
        return replace(last, data=bytes(self.data))


@dataclass(frozen=True, slots=True)
class Rest:
    """Response data of which the reader has received the first `fetched` bytes."""

    data: bytes = field(repr=False)
    fetched: int = 0

    def cut(self, ne: int) -> tuple[bytes, Rest | None]:
        """The response to a reader that accepts `ne` data bytes, and the rest, if any.

        The response ends with 9000, or with 61XX if there is a rest. If Le is absent, `ne` is 0 and
        the data is cut as for a short Le of zero: other cards do so, and libykpiv relies on it.
        """
        end = self.fetched + min(ne or SHORT_NE, LONGEST_RESPONSE_DATA)
        left = len(self.data) - end
        if left <= 0:
            return self.data[self.fetched :] + _OK, None
        status = bytes_available(left).to_bytes(2)
        return self.data[self.fetched : end] + status, Rest(self.data, end)
