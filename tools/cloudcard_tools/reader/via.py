"""The ways into this computer's readers, and which of them the cards take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from reader_bridge.carriers import handler_socket
from reader_bridge.carriers.carrier import Carrier
from reader_bridge.carriers.handler_socket import HandlerSocket
from reader_bridge.carriers.qemu_socket import QemuSocket
from reader_bridge.carriers.usbip_server import UsbipServer
from reader_bridge.carriers.vpcd_port import VpcdPort
from reader_bridge.ccid import usbip
from reader_bridge.vpcd import PORT

FC = TypeVar("FC", bound=Callable[..., None])

HANDLER, VPCD, USBIP, QEMU = "handler", "vpcd", "usbip", "qemu"
FORMS = "handler, handler:SOCKET, vpcd, usbip or qemu:SOCKET"
LAST_PORT = 0xFFFF
LAST_SLOT = 15  # of our handler (drivers/linux/ifd/slots.h)


@dataclass(frozen=True, slots=True)
class Via:
    """The way that the options name. None means that an option was not given."""

    name: str | None = None
    port: int | None = None
    slot: int | None = None

    def carriers(self, count: int) -> list[Carrier]:
        """The ways of so many cards. Raises UsageError if the options contradict one another, or if
        there are not so many slots.
        """
        name, _, socket = (self.name or self._first_there()).partition(":")
        if name == HANDLER:
            return self._of_handler(count, Path(socket) if socket else handler_socket.SOCKET)
        if self.slot is not None:
            raise click.UsageError("--slot goes with --via handler")
        if name == USBIP:
            return self._of_usbip(count)
        if name == QEMU:
            return self._of_qemu(count, socket)
        first = PORT if self.port is None else self.port
        if first + count - 1 > LAST_PORT:
            raise click.UsageError(f"there is no port for each card from {first} on")
        return [VpcdPort(first + number) for number in range(count)]

    def _first_there(self) -> str:
        if self.port is not None:
            return VPCD
        if self.slot is not None:
            return HANDLER
        return HANDLER if handler_socket.is_installed() else VPCD

    def _of_usbip(self, count: int) -> list[Carrier]:
        server = UsbipServer(count, usbip.PORT if self.port is None else self.port)
        return [server.slot(number) for number in range(count)]

    def _of_qemu(self, count: int, place: str) -> list[Carrier]:
        if self.port is not None:
            raise click.UsageError("--port goes with --via vpcd and --via usbip")
        if count > 1:
            raise click.UsageError("--via qemu is for one card: a virtual machine's reader")
        return [QemuSocket(place)]

    def _of_handler(self, count: int, socket: Path) -> list[Carrier]:
        if self.port is not None:
            raise click.UsageError("--port goes with --via vpcd and --via usbip")
        if self.slot is None:
            return [HandlerSocket(socket) for _ in range(count)]
        if self.slot + count - 1 > LAST_SLOT:
            raise click.UsageError(f"there is no slot for each card from {self.slot} on")
        return [HandlerSocket(socket, self.slot + number) for number in range(count)]


def check(way: str) -> None:
    """Raise ValueError, which says the forms, if there is no such way."""
    if way in (HANDLER, VPCD, USBIP) or way.startswith(f"{HANDLER}:/"):
        return
    name, colon, place = way.partition(":")
    if (name, colon) != (QEMU, ":"):
        raise ValueError(f"{way!r} is not {FORMS}")
    QemuSocket(place)


def _known(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """The value itself, if there is such a way. Raises BadParameter."""
    try:
        if value is not None:
            check(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return value


def options(command: FC) -> FC:
    """Add the options of `Via`."""
    for option in reversed(
        (
            click.option(
                "--via",
                callback=_known,
                metavar="handler|vpcd|usbip|qemu:SOCKET",
                help="How the cards get to a reader: through our own driver, if need be with its "
                "SOCKET behind a colon; through vpcd; as USB readers that are exported over "
                "USB/IP; or into the virtual machine whose reader QEMU has at SOCKET, a path or a "
                "port. By default through our driver if this computer has it, else through vpcd.",
            ),
            click.option(
                "--slot",
                type=click.IntRange(0, LAST_SLOT),
                help="With our driver, its slot for the first card; by default any that is free.",
            ),
            click.option(
                "--port",
                type=click.IntRange(1, LAST_PORT),
                help=f"With vpcd, its port for the first card, by default {PORT}; with usbip, its "
                f"one port, by default {usbip.PORT}.",
            ),
        )
    ):
        command = option(command)
    return command
