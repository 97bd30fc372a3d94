"""Every command that needs an identity tells once why it is of no use, or why its keystore cannot
be reached.
"""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cloudcard_tools import ending
from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.authenticator import watching
from cloudcard_tools.reader import command as reader
from cloudcard_tools.shared import identity, reaching
from cloudcard_tools.shared.calling import Diagnose, explain
from cloudcard_tools.shared.failures import Failure
from support.command_lines import WITH_IDENTITY, online, takes_json, told
from support.commands import LEAVES
from support.listeners import AUTHORITY, DAY, KEY, NOW, Issuer, enrolled, listening, pem, tls

Damage: TypeAlias = Callable[[Path, pytest.MonkeyPatch], None]
Listener: TypeAlias = Callable[[Path], AbstractContextManager[str]]

FILES = ("key.pem", "certificate.pem", "ca.pem", "identity.json")
PASSCODE = "135790\n"
# They wait for the keystore instead of ending.
WAITING = {("reader",): "waiting", ("authenticator", "watch"): "lost"}
TRIES = 3
IN_TIME = 0.05


def written(name: str, content: bytes) -> Damage:
    return lambda folder, _: (folder / name).write_bytes(content) and None


def missing(name: str) -> Damage:
    return lambda folder, _: (folder / name).unlink()


def a_folder(name: str) -> Damage:
    def damage(folder: Path, _patch: pytest.MonkeyPatch) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def unreadable(name: str) -> Damage:
    """The file is another user's. The tests' own user may read everything, if it is root."""

    def damage(folder: Path, patch: pytest.MonkeyPatch) -> None:
        opened = os.open

        def refuse(path: str, flags: int, mode: int = 0o777, **more: int) -> int:
            if path == folder / name:
                raise PermissionError(13, "Permission denied", str(path))
            return opened(path, flags, mode, **more)

        patch.setattr(os, "open", refuse)

    return damage


ED25519 = Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)
OTHER = ec.generate_private_key(ec.SECP256R1())
ENDED = AUTHORITY.issue(KEY.public_key(), NOW - 2 * DAY, NOW - DAY)
DAMAGES: Mapping[str, tuple[Damage, str]] = {
    **{f"{name} empty": (written(name, b""), "is damaged") for name in FILES[:3]},
    **{f"{name} garbled": (written(name, b"\xff\0junk"), "is damaged") for name in FILES[:3]},
    **{f"{name} missing": (missing(name), f"{name} is missing") for name in FILES[:3]},
    **{f"{name} a folder": (a_folder(name), f"{name} is not a regular file") for name in FILES},
    **{
        f"{name} unreadable": (unreadable(name), f"{name} cannot be read (Permission denied)")
        for name in FILES
    },
    "identity.json empty": (written("identity.json", b""), "is damaged"),
    "identity.json garbled": (written("identity.json", b"\xff\0junk"), "is damaged"),
    "identity.json of another program": (written("identity.json", b'{"role": 1}'), "is damaged"),
    "identity.json missing": (missing("identity.json"), "no identity in"),
    "a certificate as key": (
        written("key.pem", AUTHORITY.certificate.public_bytes(Encoding.PEM)),
        "key.pem is damaged",
    ),
    "a key as certificate": (written("certificate.pem", pem(KEY)), "certificate.pem is damaged"),
    "an Ed25519 key": (written("key.pem", ED25519), "key.pem is not an EC key"),
    "another key": (written("key.pem", pem(OTHER)), "is not the key of certificate.pem"),
    "an ended certificate": (
        written("certificate.pem", ENDED.public_bytes(Encoding.PEM)),
        "if the clock is right",
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "file").write_text("{}")
    monkeypatch.delenv(ending.DEBUG, raising=False)
    for name in (*reaching.NOT_USED, reaching.PROXY, "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", Typed())
    return tmp_path


class Typed(io.StringIO):
    """A passcode for each command that asks for one."""

    def readline(self, _size: int | None = -1) -> str:
        return PASSCODE


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_command_tells_what_is_wrong_with_its_identity(
    damage: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = enrolled(folder / "own", 7443)
    do, says = DAMAGES[damage]
    do(own, monkeypatch)
    for path, command in WITH_IDENTITY.items():
        status = ending.run(cloudcard, [*online(path, folder), "--identity", str(own)])
        message, found = told(capsys, as_json=takes_json(command))
        assert (status, message.count(says)) == (1, 1), (path, message)
        assert len(message.strip().splitlines()) == 1
        assert found.get("reason", "IDENTITY_UNUSABLE") == "IDENTITY_UNUSABLE", path


@contextmanager
def nobody(_folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield f"127.0.0.1:{port}"


@contextmanager
def silent(_folder: Path) -> Iterator[str]:
    quick = tuple(
        (name, int(1000 * IN_TIME) if name.endswith("backoff_ms") else value)
        for name, value in identity.CHANNEL_OPTIONS
    )
    with (
        pytest.MonkeyPatch.context() as patched,
        socket.create_server(("127.0.0.1", 0), backlog=500) as server,
    ):
        patched.setattr(identity, "CHANNEL_OPTIONS", quick)
        patched.setattr(reaching, "SECONDS", IN_TIME)
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def unknown(_folder: Path) -> Iterator[str]:
    yield "keystore.invalid:7443"


def certified(
    begin: int = -1,
    end: int = 1,
    host: str = "127.0.0.1",
    issuer: Issuer = AUTHORITY,
    clients: Issuer = AUTHORITY,
    protocol: str = "h2",
) -> Listener:
    """A server whose certificate begins and ends so many days from now."""

    @contextmanager
    def listener(folder: Path) -> Iterator[str]:
        certificate = issuer.issue(KEY.public_key(), NOW + begin * DAY, NOW + end * DAY, host)
        serve = tls(folder / "server", certificate, protocol=protocol, clients=clients)
        with listening(serve) as port:
            yield f"127.0.0.1:{port}"

    return listener


@contextmanager
def plain(_folder: Path) -> Iterator[str]:
    with listening(lambda accepted: accepted.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        yield f"127.0.0.1:{port}"


@contextmanager
def gone_proxy(_folder: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patched, nobody(_folder) as address:
        patched.setenv(reaching.PROXY, f"http://{address}")
        yield "keystore.example:7443"


LISTENERS: Mapping[str, tuple[Listener, str]] = {
    "CONNECTION_REFUSED": (nobody, "nobody listens at"),
    "NAME_NOT_FOUND": (unknown, "the keystore's name keystore.invalid is not known"),
    "NO_ANSWER": (silent, "does not answer"),
    "WRONG_AUTHORITY": (certified(issuer=Issuer()), "is not the keystore of this identity"),
    "CERTIFICATE_EXPIRED": (certified(-2, -1), "the keystore's certificate ended at"),
    "CERTIFICATE_NOT_YET_VALID": (certified(1, 2), "the keystore's certificate begins at"),
    "WRONG_NAME": (certified(host="127.0.0.2"), "has no certificate for 127.0.0.1"),
    "CERTIFICATE_REJECTED": (certified(clients=Issuer()), "does not let this identity in"),
    "NOT_A_KEYSTORE": (plain, "does not speak TLS"),
    "PROXY_FAILED": (gone_proxy, "does not lead to the keystore at keystore.example:7443"),
}
# Enrolment trusts the certificate whose digest is in the token, whatever it says.
PINNED: Mapping[str, tuple[Listener, str]] = {
    **{reason: LISTENERS[reason] for reason in LISTENERS if "CERTIFICATE" not in reason},
    "WRONG_AUTHORITY": (certified(), "is not the keystore that issued this token"),
    "WRONG_NAME": (certified(host="127.0.0.2"), "is not the keystore that issued this token"),
}
ENROLMENTS = {path: command for path, command in LEAVES.items() if path[-1] == "enrol"}


class Patience(threading.Event):
    """A stop signal that comes after some waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        if self.waits >= TRIES:  # two threads count
            self.set()
        return super().wait(0 if timeout is not None else None)


class Holding(Typed):
    """A standard input that ends after some attempts to reach the keystore."""

    def __init__(self) -> None:
        super().__init__()
        self.patience = Patience()

    def explain(self, error: grpc.RpcError, diagnose: Diagnose | None) -> Failure:
        failure = explain(error, diagnose)
        self.patience.wait(0)
        return failure

    def __next__(self) -> str:
        self.patience.wait()
        raise StopIteration


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands that wait for the keystore do not wait long."""

    @contextmanager
    def stop_signals() -> Iterator[threading.Event]:
        yield Patience()

    monkeypatch.setattr(reader, "_stop_signals", stop_signals)


def run(path: tuple[str, ...], arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    with monkeypatch.context() as patched:
        if path == ("authenticator", "watch"):
            stdin = Holding()
            patched.setattr("sys.stdin", stdin)
            patched.setattr(watching, "explain", stdin.explain)
            patched.setattr(watching, "RETRY_SECONDS", IN_TIME)
        return ending.run(cloudcard, arguments)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("reason", LISTENERS)
def test_every_command_tells_why_its_keystore_is_out_of_reach(
    reason: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listener, says = LISTENERS[reason]
    with listener(folder) as address:
        own = enrolled(folder / "own", address)
        for path, command in WITH_IDENTITY.items():
            arguments = [*online(path, folder), "--identity", str(own)]
            status = run(path, arguments, monkeypatch)
            if path in WAITING:
                out, err = capsys.readouterr()
                assert (status, without_the_way(err)) == (0, []), path
                events = [json.loads(line) for line in out.splitlines()]
                (lost,) = (each for each in events if each["event"] == WAITING[path])
                assert lost["text"].lower().count(says.lower()) == 1, path
                continue
            message, found = told(capsys, as_json=takes_json(command))
            assert (status, message.count(says)) == (1, 1), (path, message)
            assert len(without_the_way(message)) == 1
            assert found.get("reason", reason) == reason, path


def without_the_way(message: str) -> list[str]:
    """The lines of a message, without the one that tells by which proxy the way goes."""
    lines = message.strip().splitlines()
    told_once = [line for line in lines if line.startswith("The way to ")]
    assert len(told_once) <= 1
    return [line for line in lines if line not in told_once]


@pytest.mark.parametrize("reason", PINNED)
def test_every_enrolment_tells_why_its_keystore_is_out_of_reach(
    reason: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(ENROLMENTS) == 4
    listener, says = PINNED[reason]
    with listener(folder) as address:
        token = f"cc1.{base64.urlsafe_b64encode(bytes(48)).decode()}@{address}"
        for path in ENROLMENTS:
            arguments = [*path, token, "--identity", str(folder / "own")]
            status = ending.run(cloudcard, arguments)
            message = capsys.readouterr().err
            assert (status, message.count(says)) == (1, 1), (path, message)
            assert len(message.strip().splitlines()) == 1
            assert not (folder / "own").exists()
