"""A small witness (C2SP tlog-witness): it cosigns checkpoints that extend what it has seen."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_keystore.audit import notes, tree
from cloud_keystore.audit.cosignatures import Witness, signed
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.model.errors import InvalidInput

SIZE = "text/x.tlog.size"


@dataclass
class SmallWitness:
    """Remembers the largest checkpoint of each journal whose key it knows."""

    name: str
    known: dict[str, bytes]  # keys of journals
    seconds: int = 1_795_424_400  # its clock
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    url: str = ""
    _seen: dict[str, Checkpoint] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def witness(self) -> Witness:
        return Witness(self.name, self.private.public_key().public_bytes_raw())

    def add_checkpoint(self, body: bytes) -> tuple[int, str, bytes]:
        """Status, media type and body of the answer."""
        head, _, note = body.partition(b"\n\n")
        first, *hashes = head.decode().split("\n")
        old = int(first.removeprefix("old "))
        origin = note.partition(b"\n")[0].decode()
        if origin not in self.known:
            return 404, "text/plain", b""
        try:
            checkpoint = notes.open_(note, self.known[origin])
        except InvalidInput:
            return 403, "text/plain", b""
        if old > checkpoint.size:
            return 400, "text/plain", b""
        with self._lock:
            seen = self._seen.get(origin, Checkpoint(origin, 0, tree.EMPTY_ROOT))
            if old != seen.size:
                return 409, SIZE, f"{seen.size}\n".encode()
            if old == checkpoint.size and seen.root != checkpoint.root:
                return 409, "text/plain", b""
            proof = [base64.b64decode(each) for each in hashes]
            if not tree.extends(seen.root, old, checkpoint.root, checkpoint.size, proof):
                return 422, "text/plain", b""
            self._seen[origin] = checkpoint
        return 200, "text/plain", self._line(checkpoint)

    def _line(self, checkpoint: Checkpoint) -> bytes:
        signature = self.private.sign(signed(checkpoint.text, self.seconds))
        blob = self.witness.key_id + self.seconds.to_bytes(8) + signature
        return f"\u2014 {self.name} {base64.b64encode(blob).decode()}\n".encode()

    @contextmanager
    def serving(self) -> Iterator[SmallWitness]:
        """Listen on a port of this computer; `url` says where."""
        answer = self.add_checkpoint

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, kind, said = answer(body)
                self.send_response(status if self.path == "/log/add-checkpoint" else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}/log"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
