"""Why a keystore cannot be reached: each cause by its name, with its remedy."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cloudcard_tools.shared import identity, reaching
from cloudcard_tools.shared.failures import IdentityUnusable
from cloudcard_tools.shared.reaching import PROXY, by_proxy, proxy, why
from support.listeners import (
    AUTHORITY,
    DAY,
    KEY,
    NOW,
    Issuer,
    Serve,
    enrolled,
    listening,
    pem,
    tls,
)


def found(tmp_path: Path, serve: Serve) -> tuple[str, str]:
    """Reason and message of a call to such a server."""
    with listening(serve) as port:
        failure = why(identity.load(enrolled(tmp_path / "own", port)).way)
    return failure.reason, failure.message


@pytest.mark.parametrize(
    ("certificate", "reason", "says"),
    [
        (
            AUTHORITY.issue(KEY.public_key(), NOW - 2 * DAY, NOW - DAY),
            "CERTIFICATE_EXPIRED",
            f"ended at {NOW - DAY:%Y-%m-%d %H:%M} UTC, and this computer's clock says",
        ),
        (
            AUTHORITY.issue(KEY.public_key(), NOW + DAY, NOW + 2 * DAY),
            "CERTIFICATE_NOT_YET_VALID",
            f"begins at {NOW + DAY:%Y-%m-%d %H:%M} UTC",
        ),
        (
            Issuer().issue(KEY.public_key()),
            "WRONG_AUTHORITY",
            "is not the keystore of this identity",
        ),
        (
            AUTHORITY.issue(KEY.public_key(), host="127.0.0.2"),
            "WRONG_NAME",
            "no certificate for 127.0.0.1: start the keystore with --public-host 127.0.0.1",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isupper() else "",
)
def test_a_certificate_that_is_not_trusted(
    certificate: x509.Certificate, reason: str, says: str, tmp_path: Path
) -> None:
    told, message = found(tmp_path, tls(tmp_path, certificate))
    assert told == reason
    assert says in message


def test_a_keystore_that_answers_again(tmp_path: Path) -> None:
    told, message = found(tmp_path, tls(tmp_path, AUTHORITY.issue(KEY.public_key())))
    assert told == "KEYSTORE_INTERRUPTED"
    assert "try again" in message


def test_a_keystore_that_rejects_the_identity(tmp_path: Path) -> None:
    server = tls(tmp_path, AUTHORITY.issue(KEY.public_key()), clients=Issuer())
    told, message = found(tmp_path, server)
    assert told == "CERTIFICATE_REJECTED"
    assert "enrol again" in message


def test_what_is_no_keystore(tmp_path: Path) -> None:
    web = tls(tmp_path, AUTHORITY.issue(KEY.public_key()), protocol="http/1.1")
    assert found(tmp_path, web)[0] == "NOT_A_KEYSTORE"
    plain = found(tmp_path, lambda accepted: accepted.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert plain[0] == "NOT_A_KEYSTORE"
    assert "does not speak TLS" in plain[1]
    assert found(tmp_path, lambda accepted: accepted.close())[0] == "NOT_A_KEYSTORE"


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    failure = why(identity.load(enrolled(tmp_path, port)).way)
    assert failure.reason == "CONNECTION_REFUSED"
    assert "is `cloudcard serve` running there?" in failure.message


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(-2, "Name or service not known"), "NAME_NOT_FOUND"),
        (TimeoutError("timed out"), "NO_ANSWER"),
        (OSError(113, "No route to host"), "NO_ROUTE"),
        (OSError(101, "Network is unreachable"), "NO_ROUTE"),
    ],
)
def test_no_way(error: OSError, reason: str) -> None:
    assert reaching.unreachable("keystore:7443", error).reason == reason


def test_a_silent_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        own = enrolled(tmp_path, server.getsockname()[1])
        assert why(identity.load(own).way).reason == "NO_ANSWER"


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem", "ca.pem", "identity.json"])
@pytest.mark.parametrize("content", [b"", b"\xff\0junk", None], ids=["empty", "junk", "missing"])
def test_a_damaged_identity_never_reaches_grpc(
    name: str, content: bytes | None, tmp_path: Path
) -> None:
    folder = enrolled(tmp_path, 7443)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(IdentityUnusable) as refused:
        identity.channel(identity.load(folder))
    assert "registration authority for a token" in refused.value.message


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    folder = enrolled(tmp_path, 7443)
    (folder / "key.pem").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(IdentityUnusable, match=r"is not the key of certificate\.pem"):
        identity.channel(identity.load(folder))


@pytest.mark.parametrize(
    ("begin", "end", "says"),
    [
        (NOW - 2 * DAY, NOW - DAY, "if the clock is right"),
        (NOW + DAY, NOW + 2 * DAY, "set the clock"),
    ],
)
def test_an_identity_that_is_not_valid_now(
    begin: datetime, end: datetime, says: str, tmp_path: Path
) -> None:
    folder = enrolled(tmp_path, 7443, AUTHORITY.issue(KEY.public_key(), begin, end))
    with pytest.raises(IdentityUnusable, match=says):
        identity.channel(identity.load(folder))


@pytest.mark.parametrize("address", ["", "keystore", "keystore:", "keystore:x"])
def test_an_identity_without_an_address(address: str, tmp_path: Path) -> None:
    folder = enrolled(tmp_path, 7443)
    facts = json.loads((folder / "identity.json").read_text())
    (folder / "identity.json").write_text(json.dumps(facts | {"address": address}))
    with pytest.raises(IdentityUnusable, match="is damaged"):
        identity.load(folder)


def test_only_the_configured_proxy_is_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*reaching.NOT_USED, PROXY, "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    assert by_proxy("keystore.example:7443") == reaching.DIRECTLY
    hint = reaching.unreachable("keystore:7443", ConnectionRefusedError(111, "refused")).message
    assert f"https_proxy is set and not used for keystores; {PROXY} would be" in hint
    assert capsys.readouterr().err == ""
    monkeypatch.setenv(PROXY, "http://ada:secret@proxy:3128")
    assert by_proxy("keystore.example:7443") == (
        ("grpc.http_proxy", "http://ada:secret@proxy:3128"),
    )
    said = capsys.readouterr().err
    assert "by the proxy http://proxy:3128" in said
    assert "secret" not in said
    for here in ("localhost", "127.0.0.1", "::1"):
        assert proxy(here) is None
    monkeypatch.setenv("no_proxy", "keystore.example")
    assert proxy("keystore.example") is None


def test_a_proxy_leads_to_the_keystore_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    asked = []

    def serve(accepted: socket.socket) -> None:
        asked.append(accepted.recv(1000).partition(b"\r\n")[0])
        accepted.sendall(answer + b"\r\n\r\n")
        accepted.sendall(b"x")

    with listening(serve) as port:
        monkeypatch.setenv(PROXY, f"http://127.0.0.1:{port}")
        answer = b"HTTP/1.1 200 Connection established"
        with reaching.connected("keystore.example", 7443) as opened:
            assert opened.recv(1) == b"x"
        answer = b"HTTP/1.1 403 Forbidden"
        with pytest.raises(OSError, match="403") as refused, reaching.connected("::2", 7443):
            pass
    assert asked == [b"CONNECT keystore.example:7443 HTTP/1.1", b"CONNECT [::2]:7443 HTTP/1.1"]
    failure = reaching.unreachable("keystore.example:7443", refused.value)
    assert failure.reason == "PROXY_FAILED"


def test_a_failed_call_is_told_once_without_grpcs_own_lines(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    own = enrolled(tmp_path / "own", port)
    command = [
        sys.executable,
        "-m",
        "cloudcard_tools",
        "ra",
        "user",
        "list",
        "--identity",
        str(own),
    ]
    proxies = dict.fromkeys(reaching.NOT_USED, "http://127.0.0.1:1")
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **proxies}
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: nobody listens at 127.0.0.1:{port}: is `cloudcard serve`")
