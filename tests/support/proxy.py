"""An nginx in front of the pages, and the options of the keystore behind it, as docs/web.md has
both.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support import nginx
from support.authority import Authority
from support.guides import DOCS, run_by

[COMMAND, SERVER] = run_by("web.md", str(DOCS.parent / "tests/cloud_keystore/web/test_proxy.py"))
HOST = "localhost"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that listens; whoever trusts `authority` trusts it."""

    port: int
    certificate: Path
    authority: Path
    options: tuple[str, ...]


def start(nursery: Nursery, folder: Path, *, at_usual_port: bool = False) -> Proxy:
    """Start it. Browsers see the pages at its port, or at the usual one that is led there."""
    authority = Authority()
    port, web = free_ports(2)
    pem = authority.write_server(folder)
    here = {
        "https://cards.example.org": f"https://{HOST}" + ("" if at_usual_port else f":{port}"),
        "cards.example.org": HOST,
        "127.0.0.1:8080": f"127.0.0.1:{web}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/cloudcard/cards.pem": str(pem),
        "/etc/cloudcard/cards.key": str(pem),
    }
    (command,) = COMMAND.commands
    options = shlex.split(_written(command, here))[2:]
    nginx.serve(nursery, folder, port, _written(SERVER.text, here))
    return Proxy(port, pem, authority.write(folder), tuple(options))


def _written(text: str, here: Mapping[str, str]) -> str:
    """What the guide says, for the places of a test."""
    for there, place in here.items():
        text = text.replace(there, place)
    assert "/etc/" not in text
    return text
