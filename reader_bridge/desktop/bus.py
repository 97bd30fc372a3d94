"""One connection to a D-Bus, on which signals are waited for and methods are called."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jeepney import DBusAddress, HeaderFields, MatchRule, Message, message_bus, new_method_call
from jeepney.io.blocking import DBusConnection, Proxy, open_dbus_connection
from jeepney.wrappers import DBusErrorResponse, unwrap_msg

if TYPE_CHECKING:
    from jeepney.fds import FileDescriptor

SECONDS = 5.0  # for an answer
PROPERTIES = "org.freedesktop.DBus.Properties"
GONE = (
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    DBusErrorResponse,
)  # no bus, or none any more


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that has arrived."""

    path: str
    interface: str
    member: str
    body: tuple[object, ...]


@dataclass(slots=True)
class Bus:
    """An open connection. Its methods raise one of `GONE`."""

    connection: DBusConnection
    arrived: deque[Message] = field(default_factory=deque)

    def listen(self, **rule: str) -> None:
        """Ask for the signals that match a rule."""
        match = MatchRule(type="signal", **rule)
        Proxy(message_bus, self.connection, timeout=SECONDS).AddMatch(match)

    def call(
        self, address: DBusAddress, method: str, signature: str = "", *body: object
    ) -> tuple[object, ...]:
        """Call a method."""
        message = new_method_call(address, method, signature or None, body)
        answer = self.connection.send_and_get_reply(message, timeout=SECONDS)
        found: tuple[object, ...] = unwrap_msg(answer)
        return found

    def properties(self, address: DBusAddress) -> Mapping[str, object]:
        """All properties of an interface of an object."""
        of = DBusAddress(address.object_path, address.bus_name, PROPERTIES)
        (found,) = self.call(of, "GetAll", "s", address.interface)
        return plain(found)

    def signals(self, seconds: float) -> Iterator[Signal]:
        """The signals that have arrived, after waiting for one for so long."""
        if not self.arrived:
            try:
                self.connection.recv_messages(timeout=seconds)
            except TimeoutError:
                return
        while self.arrived:
            message = self.arrived.popleft()
            fields = message.header.fields
            yield Signal(
                str(fields[HeaderFields.path]),
                str(fields[HeaderFields.interface]),
                str(fields[HeaderFields.member]),
                tuple(message.body),
            )


def plain(properties: object) -> Mapping[str, object]:
    """Properties without the signatures of their variants."""
    if not isinstance(properties, dict):
        raise TypeError("these are no properties")
    return {name: value for name, (_, value) in properties.items()}


def kept(answer: tuple[object, ...]) -> FileDescriptor:
    """The file descriptor in an answer."""
    (found,) = answer
    return found


@contextmanager
def opened(name: str, *, enable_fds: bool = False) -> Iterator[Bus]:
    """A connection to the bus "SYSTEM" or "SESSION". Raises one of `GONE`."""
    connection = open_dbus_connection(name, enable_fds=enable_fds)
    bus = Bus(connection)
    try:
        with connection.filter(MatchRule(type="signal"), queue=bus.arrived):
            yield bus
    finally:
        connection.close()
