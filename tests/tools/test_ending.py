"""Every command ends each kind of error with one message and the right exit status."""

from __future__ import annotations

import ast
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NoReturn

import click
import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from architecture.imports import PACKAGES, ROOT
from card_os.trace.words import TraceError
from cloud_keystore.model import errors
from cloud_keystore.rpc.refusals import GRPC_STATUS
from cloudcard_tools import ending
from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.demo.timeline import StepFailed
from cloudcard_tools.shared import home, identity
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.failures import Failure, IdentityUnusable, OutOfReach, Refused
from cloudcard_tools.shared.pcsc import PcscError
from cloudcard_tools.shared.pcscd import PcscdFailed
from cloudcard_tools.shared.processes import ProcessFailed
from support.command_lines import WITH_IDENTITY, online, takes_json, told, words
from support.commands import LEAVES

OS_ERRORS = (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOENT, errno.EMFILE, errno.EIO)
ERRORS: dict[str, tuple[BaseException, int, str]] = {
    "usage": (click.UsageError("name a card"), 2, "USAGE"),
    "failure": (Failure("no: do this"), 1, "FAILED"),
    "refused": (Refused("no: do this", "CARD_NOT_IN_USE"), 1, "CARD_NOT_IN_USE"),
    "unreachable": (OutOfReach("nobody listens", "NO_ROUTE"), 1, "NO_ROUTE"),
    "identity": (IdentityUnusable("no identity"), 1, "IDENTITY_UNUSABLE"),
    "pcsc": (PcscError("no card"), 1, "FAILED"),
    "pcscd": (PcscdFailed("pcscd is not installed"), 1, "FAILED"),
    "child": (ProcessFailed("it ended"), 1, "FAILED"),
    "step": (StepFailed("it failed"), 1, "FAILED"),
    "program": (subprocess.TimeoutExpired(["openssl", "speed"], 5), 1, "PROGRAM_FAILED"),
    "module": (ModuleNotFoundError(name="smartcard.scard"), 1, "MODULE_MISSING"),
    "memory": (MemoryError(), 1, "NO_MEMORY"),
    "interrupted": (KeyboardInterrupt(), 130, "INTERRUPTED"),
    "aborted": (click.Abort(), 130, "INTERRUPTED"),
    "fault": (KeyError("serial"), 1, "FAULT"),
    "two lines": (ValueError("two\nlines"), 1, "FAULT"),
    "trace": (TraceError("line 3"), 1, "FAULT"),
    "group": (ExceptionGroup("tasks", [errors.CardNotFound("no card")]), 1, "CARD_NOT_FOUND"),
    **{
        errno.errorcode[number]: (
            OSError(number, os.strerror(number), "/some/file"),
            1,
            ending.ADVICE[number][0],
        )
        for number in OS_ERRORS
    },
    **{
        kind.__name__: (kind("no: do this"), 1, GRPC_STATUS[kind][1])
        for kind in (errors.CardNotFound, errors.StorageUnavailable, errors.InvalidInput)
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "file").write_text("{}")
    monkeypatch.setenv("CLOUDCARD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(ending.DEBUG, raising=False)
    return tmp_path


@pytest.mark.parametrize("kind", ERRORS)
def test_every_command_ends_an_error_with_one_message(
    kind: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error, status, reason = ERRORS[kind]

    def fail(_self: click.Command, _context: click.Context) -> None:
        raise error

    for path, command in LEAVES.items():
        as_json = takes_json(command)
        arguments = [*path, *words(command, folder), *(["--json"] if as_json else [])]
        with monkeypatch.context() as patched:
            patched.setattr(command, "invoke", partial(fail, command))
            assert ending.run(cloudcard, arguments) == status, path
        message, found = told(capsys, as_json=as_json)
        assert len(message.strip().splitlines()) == 1 or kind == "usage"
        if as_json:
            assert (found["reason"], found["exit_status"]) == (reason, status), path
            assert str(found["message"]) in message


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_refuses_an_option_that_is_none(
    path: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert folder.exists()
    assert ending.run(cloudcard, [*path, "--nosuch", "--json"]) == 2
    message, found = told(capsys, as_json=True)
    assert "--nosuch" in message
    assert found["reason"] == "USAGE"


@pytest.mark.parametrize("path", WITH_IDENTITY)
def test_every_command_says_that_it_has_no_identity(
    path: tuple[str, ...],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("135790\n"))
    assert ending.run(cloudcard, online(path, folder)) == 1
    message, found = told(capsys, as_json=takes_json(LEAVES[path]))
    assert "ask your registration authority for a token" in message
    assert found.get("reason", "IDENTITY_UNUSABLE") == "IDENTITY_UNUSABLE"


class Refusing(grpc.GenericRpcHandler):
    """Refuses every call for one reason."""

    def __init__(self, code: grpc.StatusCode, reason: str) -> None:
        status = status_pb2.Status(code=code.value[0], message="no: do this")
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason))
        self.status = rpc_status.to_status(status)

    def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(self._refuse)

    def _refuse(self, _request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort_with_status(self.status)
        raise AssertionError


@pytest.mark.parametrize(("code", "reason"), GRPC_STATUS.values(), ids=lambda each: str(each))
def test_each_reason_of_the_keystore_arrives(code: grpc.StatusCode, reason: str) -> None:
    server = grpc.server(ThreadPoolExecutor(1), handlers=(Refusing(code, reason),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with (
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
            pytest.raises(grpc.RpcError) as raised,
        ):
            channel.unary_unary("/some")(b"", timeout=60)
    finally:
        server.stop(None)
    failure = explain(raised.value)
    assert isinstance(failure, Refused)
    assert (failure.reason, failure.message) == (reason, "no: do this")
    assert ending.of(raised.value) == ending.Ending(1, reason, "no: do this")


def test_a_fault_says_where_to_report_it() -> None:
    try:
        {}["serial"]
    except KeyError as error:
        found = ending.of(error)
    assert "a fault of cloudcard" in found.message
    assert "KeyError at test_ending.py:" in found.message
    assert ending.ISSUES in found.message
    assert ending.DEBUG in found.message
    assert ending.ISSUES in (ROOT / "pyproject.toml").read_text()


def test_with_debug_the_place_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_self: click.Group, _context: click.Context, _name: str) -> click.Command:
        raise KeyError("serial")

    monkeypatch.setattr(type(cloudcard), "get_command", fail)
    monkeypatch.setenv(ending.DEBUG, "1")
    assert ending.run(cloudcard, ["doctor"]) == 1
    assert "Traceback" in capsys.readouterr().err


def messages(source: str) -> Iterator[str]:
    """The texts of a module that can be printed: all but docstrings."""
    tree = ast.parse(source)
    silent = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in silent:
            yield str(node.value)


def test_no_message_says_unexpected() -> None:
    assert list(messages('"""unexpected"""\nx = "unexpected"')) == ["unexpected"]
    found = [
        (path.name, text)
        for package in PACKAGES.values()
        for path in package.rglob("*.py")
        for text in messages(path.read_text())
        if "unexpected" in text.lower()
    ]
    assert found == []


def test_an_identity_is_told_before_anything_else() -> None:
    """gRPC is not asked what a damaged key is: it ends the process."""
    with pytest.raises(IdentityUnusable):
        identity.load(Path("/nonexistent"))


PROGRAM = """
import sys
import click
from cloudcard_tools import ending, streams
from cloudcard_tools.shared import output

streams.prepare()

def say():
    output.print_json(["Łucja"])
    for _ in range(2000):
        click.echo(" " * 100)

run = click.Command("run", callback=say)
sys.exit(ending.run(click.Group(commands=[run]), ["run"]))
"""


@pytest.mark.parametrize(
    ("redirection", "environment", "status", "says"),
    [
        (">&-", {}, 0, ""),
        ("2>&-", {}, 0, ""),
        ("<&-", {}, 0, ""),
        (">/dev/full", {}, 1, "standard output cannot be written: No space left on device"),
        ("| head -c 1 >/dev/null; exit ${PIPESTATUS[0]}", {}, 141, ""),
        ("", {"PYTHONIOENCODING": "cp1252"}, 0, ""),
        ("", {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, 0, ""),
        ("", {"HOME": ""}, 0, ""),
    ],
)
def test_odd_surroundings(
    redirection: str, environment: dict[str, str], status: int, says: str, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, "utf-8")
    command = f"{sys.executable} {program} {redirection}"
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert says in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    if done.stdout:
        assert json.loads(done.stdout.decode())[0] == "Łucja"


@pytest.mark.parametrize(
    "command", ["ra user list", "serve", "authenticator cards", "reader --card 1", "keys list"]
)
def test_a_user_whom_the_computer_does_not_know(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a container that was started with a number for a user."""

    def unknown(uid: int) -> NoReturn:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", home.VARIABLE, "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert ending.run(cloudcard, command.split()) == 1
    assert "this user has no home folder: name a folder" in capsys.readouterr().err
