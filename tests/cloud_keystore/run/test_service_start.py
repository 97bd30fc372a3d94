"""Starting `cloudcard serve` where something is wrong: a clear line, exit code 1, nothing lost."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from pathlib import Path

import pytest

from cloud_keystore.config import Address, Settings, Token
from cloud_keystore.run.ports import cause
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.serve.processes import say_ready
from cloudcard_tools.shared.processes import Nursery
from support import warm_starts


def serve(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return warm_starts.run("serve", "--data", str(data), *options)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a keystore that has run."""
    service, enrolment = free_ports(2)
    with Nursery(tmp_path / "logs") as nursery:
        nursery.start_python(
            "keystore",
            *("-m", "cloudcard_tools", "serve", "--data", str(tmp_path / "data")),
            *("--listen", f"127.0.0.1:{service}", "--enrol-listen", f"127.0.0.1:{enrolment}"),
        ).wait_for("Keystore ready", timeout=60)
    return tmp_path / "data"


def test_secrets_are_their_owners_alone(data: Path) -> None:
    assert data.stat().st_mode & 0o077 == 0
    for name in ("sealing.key", "operator.token"):
        assert (data / name).stat().st_mode & 0o777 == 0o600


def test_another_sealing_key(data: Path) -> None:
    (data / "sealing.key").write_bytes(os.urandom(32))
    ended = serve(data)
    assert ended.returncode == 1
    assert "restore both from the same backup" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_sealing_key_that_is_gone_is_not_replaced_under_a_database(data: Path) -> None:
    (data / "sealing.key").unlink()
    ended = serve(data)
    assert ended.returncode == 1
    assert "sealing.key" in ended.stderr
    assert not (data / "sealing.key").exists()


def test_a_broken_database(data: Path) -> None:
    for file in data.glob("keystore.db*"):
        file.write_bytes(b"junk" * 5000)
    ended = serve(data)
    assert ended.returncode == 1
    assert "keystore.db" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_data_folder_has_one_keystore(tmp_path: Path) -> None:
    first, second, third, fourth = (f"127.0.0.1:{port}" for port in free_ports(4))
    data = tmp_path / "data"
    with Nursery(tmp_path / "logs") as nursery:
        keystore = nursery.start_python(
            "keystore",
            *("-m", "cloudcard_tools", "serve", "--data", str(data)),
            *("--listen", first, "--enrol-listen", second),
        )
        keystore.wait_for("Keystore ready", timeout=60)
        ended = serve(data, "--listen", third, "--enrol-listen", fourth)
        assert ended.returncode == 1
        assert "another keystore runs on it" in ended.stderr
        assert keystore.returncode is None
        keystore.kill()
        nursery.restart("keystore").wait_for("Keystore ready", timeout=60)  # no stale lock


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = serve(tmp_path / "data", "--listen", address)
    assert ended.returncode == 1
    assert f"cannot listen on {address}: is another keystore running there?" in ended.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_first_start_that_fails_leaves_nothing(workers: int, tmp_path: Path) -> None:
    """A port that was taken, and the folder held a keystore that had never served: with other
    options the next start refused it.
    """
    place = tmp_path / "var" / "data"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = (
            "--listen",
            f"127.0.0.1:{port}",
            "--enrol-listen",
            f"127.0.0.1:{free_ports(1)[0]}",
        )
        ended = serve(place, *options, "--workers", str(workers))
    assert ended.returncode == 1
    assert "is another keystore running" in ended.stderr
    assert not (tmp_path / "var").exists()


def test_a_first_start_that_fails_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("of an administrator")
    (tmp_path / "key").write_bytes(b"short")
    (tmp_path / "key").chmod(0o600)
    assert serve(tmp_path, "--sealing-key", f"file:{tmp_path}/key").returncode == 1
    assert {each.name for each in tmp_path.iterdir()} == {"notes", "key"}


def test_a_start_that_fails_later_keeps_the_keystore(data: Path) -> None:
    before = {each.name for each in data.iterdir()} - {"process.lock", "workers.lock"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert serve(data, "--listen", f"127.0.0.1:{taken.getsockname()[1]}").returncode == 1
    assert before <= {each.name for each in data.iterdir()}


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("192.0.2.1", "this computer does not have the address"),
        ("2001:db8::1", "this computer does not have the address"),
        ("keystore.invalid", "look at the address"),
    ],
)
def test_why_a_port_cannot_be_opened(host: str, said: str) -> None:
    assert said in cause(Address(host, 7443))


@pytest.mark.parametrize("address", ["7443", "host:", ":7443", "host:99999", "host:x"])
def test_an_address_that_is_none(tmp_path: Path, address: str) -> None:
    ended = serve(tmp_path / "data", "--listen", address)
    assert ended.returncode == 1
    assert "host:port" in ended.stderr


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ((), "back up sealing.key apart"),
        (("file:/etc/cloudcard/2027.key",), "back up /etc/cloudcard/2027.key apart"),
        (
            ("passphrase:/run/phrase", "file:/var/lib/cloudcard/sealing.key"),
            "back up /run/phrase and /var/lib/cloudcard/sealing.key apart",
        ),
        (("pkcs11:cloudcard-2027",), "the sealing key is in the token"),
    ],
)
def test_what_to_back_up_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, sources: tuple[str, ...], said: str
) -> None:
    token = Token(Path("module.so"), "token", Path("pin"))
    settings = Settings(tmp_path, sealing_keys=sources, token=token)
    say_ready(settings, "text", has_operators=True)
    assert said in capsys.readouterr().out


def test_a_printed_command_can_be_pasted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = Settings(tmp_path / "Ada's data")
    settings.data.mkdir()
    settings.operator_token.write_text("token")
    say_ready(settings, "text", has_operators=False)
    command = capsys.readouterr().out.partition("First operator: ")[2]
    assert shlex.split(command)[-1] == str(settings.operator_token)
