"""Pages that are open and wait, thousands of them."""

from __future__ import annotations

import re
import resource
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import click

from cloudcard_tools.bench.certificates import HOST
from cloudcard_tools.bench.web.browser import CLOSED, SECONDS
from cloudcard_tools.bench.web.device import CALLS, REQUESTS, TIMES, PageDevice

AT_ONCE = 16  # that open
PORTION = 200  # streams for which one nonce is asked
OWN_FILES = 1000  # of a process, besides a connection for each stream
BEAT = b":\n\n"
LONGEST = 65536
# The answer to a proof whose nonce is too old
OLD = re.compile(rb"HTTP/1\.1 401 .*\r\ndpop-nonce: ([\w-]+)\r\n", re.DOTALL | re.IGNORECASE)


def allow_files(streams: int) -> None:
    """Let this process and those that it starts have so many connections; raises
    ClickException.
    """
    wanted = streams + OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        raise click.ClickException(
            f"a process may open {hard} files here, and {streams} streams take {wanted}: ask for "
            "fewer by --streams, or raise the limit (ulimit -n)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


@dataclass(frozen=True, slots=True)
class Crowd:
    """Streams that are open. Nobody reads what they tell: the system keeps it."""

    sockets: Sequence[ssl.SSLSocket]

    def still_open(self) -> int:
        """How many of them the keystore has not ended."""
        return sum(map(_is_open, self.sockets))


@contextmanager
def waiting(
    device: PageDevice, fingerprints: Sequence[bytes], done: Callable[[int], None]
) -> Iterator[Crowd]:
    """Streams of devices that share the key of one, until the end of the block; `done` is told how
    many were opened.
    """
    with ExitStack() as stack:
        sockets: list[ssl.SSLSocket] = []
        for start in range(0, len(fingerprints), PORTION):
            device.call("GET", f"{CALLS}cards")
            devices = [
                replace(device, certificate_sha256=each)
                for each in fingerprints[start : start + PORTION]
            ]
            with ThreadPoolExecutor(AT_ONCE) as threads:
                some = list(threads.map(_opened, devices))
            sockets += map(stack.enter_context, some)
            done(len(some))
        yield Crowd(sockets)


def _opened(device: PageDevice) -> ssl.SSLSocket:
    """A stream, when it has told all that waits. Raises RuntimeError if it does not, nor when it is
    asked again because its nonce is too old, or the keystore has not waited for a busy computer.
    """
    for _ in range(TIMES):
        try:
            stream, told = _asked(device)
        except CLOSED as error:
            told = repr(error).encode()
            continue
        if BEAT in told:
            return stream
        stream.close()
        if (refused := OLD.match(told)) is None:
            break
        device.nonce = refused[1].decode()
    raise RuntimeError(f"a stream was not opened: {told.decode(errors='replace')}")


def _asked(device: PageDevice) -> tuple[ssl.SSLSocket, bytes]:
    """A stream that was asked for, and what it has told until it waits, or ends."""
    plain = socket.create_connection((HOST, device.browser.port), SECONDS)
    stream = device.browser.trust.wrap_socket(plain, server_hostname=HOST)
    head = (
        f"GET {REQUESTS} HTTP/1.1\r\nHost: {HOST}:{device.browser.port}\r\n"
        f"DPoP: {device.proof('GET', REQUESTS)}\r\nConnection: close\r\n\r\n"
    )
    told = b""
    try:
        stream.sendall(head.encode())
        while BEAT not in told and len(told) < LONGEST and (read := stream.recv(LONGEST)):
            told += read
    except BaseException:
        stream.close()
        raise
    return stream, told


def _is_open(stream: ssl.SSLSocket) -> bool:
    stream.settimeout(0)
    try:
        while stream.recv(LONGEST):
            pass
    except ssl.SSLWantReadError:
        return True
    except OSError:
        pass
    return False
