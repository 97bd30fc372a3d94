"""The simulators as a process, somebody who has a ticket there, and brokers that are broken."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.simulate.application import FAULTS
from cloudcard_tools.spine import proving
from cloudcard_tools.spine.broker import Broker
from support.authority import Authority
from support.simulators import Held, card, registered, revocation_list

PATIENCE = 60.0


@dataclass
class Simulated:
    """The simulators at an address."""

    port: int
    trust: Path
    authority: Authority

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.trust)

    def switch(self, words: str) -> None:
        """Have these faults, and no others."""
        body = urlencode({"faults": words}).encode()
        with urlopen(Request(f"{self.url}{FAULTS}", body), context=self.tls, timeout=PATIENCE):
            pass

    def ticket(self, held: Held | None = None) -> str:
        """Log in with a card's key in memory."""
        held = held or card(self.authority)
        broker = Broker(self.url, self.tls, PATIENCE)
        name, challenge = broker.activate()
        proof = proving.proof(
            challenge, held.der, "sha256", lambda each: held.key.sign(each, ECDSA(SHA256()))
        )
        return broker.log_in(name, proof).value

    @property
    def cards(self) -> x509.Certificate:
        """The authority by which its issuance service certifies cards."""
        return x509.load_pem_x509_certificate((self.trust.parent / "cards.pem").read_bytes())

    def leave(self, ticket: str) -> None:
        """Log out."""
        body = f'<gpOBJECT><gpPARAM name="sso_ticket">{ticket}</gpPARAM></gpOBJECT>'.encode()
        asked = Request(f"{self.url}/login/authlogout", body)
        with urlopen(asked, context=self.tls, timeout=PATIENCE):
            pass


def simulated(folder: Path, nursery: Nursery) -> Simulated:
    """Start the simulators in a process of their own."""
    authority = Authority()
    (folder / "cards.crl").write_bytes(revocation_list(authority).public_bytes(Encoding.DER))
    (folder / "clients.json").write_text(json.dumps(registered()))
    main, cards = free_ports(2)
    nursery.start_python(
        "simulators",
        *("-m", "cloudcard_tools", "simulate", "nhs", "--data", str(folder / "data")),
        *("--clients", str(folder / "clients.json"), "--crl", str(folder / "cards.crl")),
        *("--authority", str(authority.write(folder))),
        *("--listen", f"127.0.0.1:{main}", "--card-listen", f"127.0.0.1:{cards}"),
    ).wait_for("Trust this", timeout=PATIENCE)
    return Simulated(main, folder / "data" / "authority.pem", authority)


@contextmanager
def broken(folder: Path, said: bytes, *, endless: bool = False) -> Iterator[tuple[int, Path]]:
    """A server of TLS that answers each request with some bytes, and then, byte after byte, for
    ever; its port, and the authority of its certificate.
    """
    authority = Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.write_server(folder))
    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), context.wrap_socket(plain, server_side=True) as client:
                client.recv(4096)
                client.sendall(said)
                while endless and not ended.wait(0.05):
                    client.sendall(b"<")
                # What was sent is not lost because something was not read.
                client.shutdown(socket.SHUT_WR)
                while client.recv(4096):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        try:
            yield listener.getsockname()[1], authority.write(folder)
        finally:
            ended.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
