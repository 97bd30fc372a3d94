"""The way that `cloudcard reader` takes, by its options and by what this computer has."""

from __future__ import annotations

import pytest

from cloudcard_tools.reader.via import Via
from reader_bridge.carriers import handler_socket


@pytest.fixture(params=[True, False], ids=["with our driver", "without"])
def ours(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether this computer has our driver."""
    there: bool = request.param
    monkeypatch.setattr(handler_socket, "is_installed", lambda: there)
    return there


def ways(via: Via, count: int = 2) -> list[str]:
    return [f"{each.where.via} {each.where.place}" for each in via.carriers(count)]


SOCKET = f"handler socket {handler_socket.SOCKET}"


def test_the_first_that_is_there(ours: bool) -> None:
    assert ways(Via()) == ([SOCKET] * 2 if ours else ["vpcd port 35963", "vpcd port 35964"])


@pytest.mark.parametrize(
    ("via", "said"),
    [
        (Via("vpcd"), ["vpcd port 35963", "vpcd port 35964"]),
        (Via(port=4000), ["vpcd port 4000", "vpcd port 4001"]),
        (Via("vpcd", port=4000), ["vpcd port 4000", "vpcd port 4001"]),
        (Via("handler"), [SOCKET] * 2),
        (Via(slot=3), ["handler slot 3", "handler slot 4"]),
        (Via("usbip"), [f"usbip USB/IP port 3240, device 1-{number}" for number in (1, 2)]),
        (Via("usbip", port=9), [f"usbip USB/IP port 9, device 1-{number}" for number in (1, 2)]),
        (Via("handler:/x/y.sock"), ["handler socket /x/y.sock"] * 2),
        (Via("handler:/x/y.sock", slot=14), ["handler slot 14", "handler slot 15"]),
    ],
)
@pytest.mark.usefixtures("ours")
def test_what_options_say_counts(via: Via, said: list[str]) -> None:
    assert ways(via) == said
