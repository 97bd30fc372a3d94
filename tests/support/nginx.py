"""A real nginx: one that asks its clients for a certificate and says whom it saw, or another."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support.authority import Authority

PROGRAM = "/usr/sbin/nginx"
START_SECONDS = 60.0
CONFIGURATION = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr info;
events {{}}
http {{
access_log off;
client_body_temp_path {folder}/body;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
{server}}}
"""
ASKING = """\
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {server};
    ssl_certificate_key {server};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_client_certificate {authority};
    ssl_verify_client on;
    ssl_session_cache off;
    default_type text/html;
    location / {{
        return 200 "<p>$ssl_client_verify $ssl_client_s_dn $ssl_protocol</p>\\n";
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A server on the loopback address; whoever trusts `authority` trusts it."""

    port: int
    authority: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/"


def start(nursery: Nursery, folder: Path, authority: Authority) -> Nginx:
    """Start it with files in `folder`; it admits those whom the authority has certified."""
    (port,) = free_ports(1)
    trusted, server = authority.write(folder), authority.write_server(folder)
    serve(nursery, folder, port, ASKING.format(port=port, server=server, authority=trusted))
    return Nginx(port, trusted)


def serve(nursery: Nursery, folder: Path, port: int, server: str) -> None:
    """Start it with files in `folder`; `server` is the part of its configuration that says what is
    served at the port.
    """
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, server=server))
    nursery.start("nginx", PROGRAM, "-p", str(folder), "-c", str(configuration))
    _wait_for(port)


def said(name: str, protocol: str) -> str:
    """What it says to the client with that common name."""
    return f"SUCCESS CN={name} {protocol}"


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "nginx does not listen: see its log"
            time.sleep(0.01)
        else:
            return
