"""A keystore that speaks HTTP/2 by hand, and says whatever a test wants."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, GOAWAY = 0, 1, 3, 4, 7  # types of frames (RFC 9113, 6)
END_STREAM, END_HEADERS = 1, 4
LARGEST = 1 << 14  # bytes of a frame
OK = {"grpc-status": "0"}
FILES = ("ca.pem", "key.pem", "certificate.pem")


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def headers(stream: int, fields: dict[str, str], *, last: bool = False) -> bytes:
    """Fields as literals that nobody has to remember (RFC 7541, 6.2.2)."""
    block = b"".join(
        b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
        for name, value in fields.items()
    )
    return frame(HEADERS, END_HEADERS | (END_STREAM if last else 0), stream, block)


def message(content: bytes) -> bytes:
    """A message with gRPC's prefix."""
    return b"\0" + len(content).to_bytes(4) + content


def begun(stream: int, status: str = "200") -> bytes:
    """The beginning of an answer."""
    return headers(stream, {":status": status, "content-type": "application/grpc"})


def answer(stream: int, content: bytes, trailers: dict[str, str] | None = None) -> bytes:
    """A whole answer, whose data is `content`."""
    parts = (content[at : at + LARGEST] for at in range(0, len(content), LARGEST))
    data = b"".join(frame(DATA, 0, stream, part) for part in parts)
    return begun(stream) + data + headers(stream, OK if trailers is None else trailers, last=True)


# Says what is sent for a call's message: its stream and the message.
Script = Callable[[int, bytes], bytes]


@dataclass
class Hostile:
    """A keystore at a port: each connection's first call is answered as an empty one."""

    folder: Path  # has the identity that its clients use
    script: Script
    hangs_up: bool = False  # after the first answer of the script
    parting: bytes = b""  # what a stream brings when its client has ended it
    port: int = field(init=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve one connection during the block."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "certificate.pem", self.folder / "key.pem")
        context.load_verify_locations(self.folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["h2"])
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            thread = threading.Thread(target=self._serve, args=(listener, context))
            thread.start()
            yield
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()  # if nobody has come
            thread.join()

    def _serve(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        with suppress(OSError, EOFError):
            sock, _ = listener.accept()
            sock.settimeout(120)
            with sock, context.wrap_socket(sock, server_side=True) as connection:
                self._converse(connection)

    def _converse(self, connection: ssl.SSLSocket) -> None:
        stream_file = connection.makefile("rb")
        _read(stream_file.read, len(PREFACE))
        connection.sendall(frame(SETTINGS, 0, 0, b""))
        bodies: dict[int, bytes] = {}
        while True:
            length = int.from_bytes(_read(stream_file.read, 3))
            kind, flags = _read(stream_file.read, 2)
            stream = int.from_bytes(_read(stream_file.read, 4))
            payload = _read(stream_file.read, length)
            if kind != DATA:
                continue
            if not payload and flags & END_STREAM:
                parting = frame(DATA, 0, stream, self.parting)
                connection.sendall(parting + headers(stream, OK, last=True))
            body = bodies.get(stream, b"") + payload
            while len(body) >= 5 and len(body) >= (end := 5 + int.from_bytes(body[1:5])):
                if stream == 1:
                    connection.sendall(answer(1, message(b"")))
                else:
                    connection.sendall(self.script(stream, body[5:end]))
                    if self.hangs_up:
                        return
                body = body[end:]
            bodies[stream] = body


def _read(read: Callable[[int], bytes], size: int) -> bytes:
    found = read(size)
    if len(found) < size:
        raise EOFError
    return found


def identity(folder: Path) -> Path:
    """Files with a key, and a certificate that is its own authority, for 127.0.0.1."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keystore")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, SHA256())
    ).public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for file, content in zip(FILES, (certificate, private, certificate), strict=True):
        (folder / file).write_bytes(content)
    return folder
