"""The agent's socket, by which its user asks how it is, and signs in and out."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import Row

SECONDS = 15.0  # for a request and its answer
LONGEST = 4096  # bytes of a request
CREDENTIALS = struct.Struct("3i")  # pid, uid, gid

Answer: TypeAlias = Callable[[dict[str, object]], Row]


@contextmanager
def served(path: Path, answer: Answer) -> Iterator[None]:
    """Answer requests at a socket that only this user can reach, during the block. Raises Failure
    if another agent of this user's answers there.
    """
    if _answers(path):
        raise Failure("an agent of yours runs already: `cloudcard reader status` asks it")
    path.unlink(missing_ok=True)  # of one that was killed
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen()
        threading.Thread(
            target=_accept, args=(listener, answer), name="control", daemon=True
        ).start()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def ask(path: Path, **request: str) -> Row:
    """Ask the agent. Raises Failure if there is none, or if it refuses."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(SECONDS)
            sock.connect(str(path))
            sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as lines:
                answer = json.loads(lines.readline() or b"{}")
    except (OSError, ValueError):
        raise Failure(
            "no agent of yours runs: start it with `systemctl --user start cloudcard-reader`, or "
            "`cloudcard reader` in a terminal"
        ) from None
    if not isinstance(answer, dict) or "error" in answer:
        raise Failure(str(answer.get("error", "the agent gave no answer")))
    return answer


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
    return True


def _accept(listener: socket.socket, answer: Answer) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # the agent ends
        threading.Thread(target=_serve, args=(connection, answer), daemon=True).start()


def _serve(connection: socket.socket, answer: Answer) -> None:
    with connection, suppress(OSError):
        connection.settimeout(SECONDS)
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        _, uid, _ = CREDENTIALS.unpack(raw)
        if uid not in (0, os.getuid()):
            return
        with connection.makefile("rb") as lines:
            told: Row
            try:
                request = json.loads(lines.readline(LONGEST))
                told = answer(request if isinstance(request, dict) else {})
            except ValueError:
                told = {"error": "this is no request"}
            except Failure as failure:
                told = {"error": failure.message}
        connection.sendall(json.dumps(told).encode() + b"\n")
