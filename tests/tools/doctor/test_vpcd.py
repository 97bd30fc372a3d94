"""vpcd: its configuration, and real listeners on its ports."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from cloudcard_tools.doctor import vpcd
from cloudcard_tools.doctor.checks import Level
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.shared import pcscd
from support.strangers import holding

READER = "FRIENDLYNAME vpcd\nDEVICENAME {device}\nLIBPATH {folder}/libifdvpcd.so\n"


@pytest.fixture(autouse=True)
def ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Ports that are nobody's, in the place of vpcd's: others of this computer may use those."""
    # Held without listening, so that no other program is given them.
    with ExitStack() as held:
        taken = []
        for _ in range(2):
            sock = held.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.2", 0))
            taken.append(sock.getsockname()[1])
        found = (taken[0], taken[1])
        monkeypatch.setattr(pcscd, "PORTS", found)
        yield found


@pytest.fixture
def configured(places: Places) -> Places:
    write(places, READER)
    return places


def write(places: Places, text: str, device: str = "/dev/null:0x8C7B") -> None:
    places.readers.mkdir(exist_ok=True)
    folder = places.readers.parent
    (places.readers / "vpcd").write_text(text.format(device=device, folder=folder))
    (folder / "libifdvpcd.so").touch()


def test_the_configuration(places: Places) -> None:
    assert "no reader" in vpcd.driver(places).cause
    write(places, READER)
    assert vpcd.driver(places).level is Level.OK
    write(places, "#" + READER.replace("\n", "\n#"))
    assert vpcd.driver(places).level is Level.FAILED
    write(places, READER, "phone.example:0x8C7B")
    assert vpcd.driver(places).cause == "vpcd is configured to connect out"
    (places.readers.parent / "libifdvpcd.so").unlink()
    assert "does not exist" in vpcd.driver(places).cause
    write(places, READER.replace("libifdvpcd", "libifdcloudcard"))
    assert vpcd.driver(places).cause == vpcd.NEVER


def test_ports_on_which_nobody_listens(configured: Places, ports: tuple[int, int]) -> None:
    finding = vpcd.ports(configured)
    assert finding.level is Level.FAILED
    assert finding.cause == f"nobody listens on {ports[0]}, {ports[1]}"
    with socket.create_server(("127.0.0.1", ports[0])):
        assert vpcd.ports(configured).cause == f"nobody listens on {ports[1]}"


def test_ports_of_this_computer_alone(configured: Places, ports: tuple[int, int]) -> None:
    with (
        socket.create_server(("127.0.0.1", ports[0])),
        socket.create_server(("127.0.0.1", ports[1])) as second,
    ):
        assert vpcd.ports(configured).cause == f"{ports[0]} free, {ports[1]} free"
        with socket.create_connection(second.getsockname()):
            finding = vpcd.ports(configured)
    assert (finding.level, finding.cause) == (
        Level.OK,
        f"{ports[0]} free, {ports[1]} holds a card",
    )


def test_ports_that_are_open_to_the_network(configured: Places, ports: tuple[int, int]) -> None:
    with socket.create_server(("", ports[0])), socket.create_server(("127.0.0.1", ports[1])):
        finding = vpcd.ports(configured)
    assert finding.level is Level.WARNING
    assert "open to the network" in finding.cause
    assert "nft add rule" in finding.fix


@pytest.mark.parametrize("installed", [True, False])
def test_a_port_that_a_stranger_holds(
    places: Places, ports: tuple[int, int], installed: bool
) -> None:
    if installed:
        write(places, READER)
    with holding(lambda: socket.create_server(("127.0.0.1", ports[1]))):
        finding = vpcd.ports(places)
    assert finding.level is Level.FAILED
    assert finding.cause == f"a program of nobody listens on vpcd's port {ports[1]}, not pcscd"
    assert f"sport = :{ports[1]}" in finding.fix


def test_a_listener_that_cannot_be_vpcd(configured: Places, ports: tuple[int, int]) -> None:
    """vpcd speaks IPv4 only."""
    with socket.create_server(("::1", ports[0]), family=socket.AF_INET6):
        finding = vpcd.ports(configured)
    assert (finding.level, "not pcscd" in finding.cause) == (Level.FAILED, True)


def test_without_vpcd_no_port_is_missed(places: Places) -> None:
    assert vpcd.ports(places).cause == vpcd.NEVER
