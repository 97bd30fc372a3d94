"""Logins over SSH with the card's authentication key."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os.piv.names import KeyRef
from cloudcard_tools.demo.programs import module, must, run
from cloudcard_tools.shared.processes import Nursery
from support import sshd
from support.sshd import Sshd
from support.system_cards import ALGORITHMS, PIN, LocalCard, on_cards


@pytest.fixture
def server(servers: Nursery, tmp_path: Path) -> Sshd:
    return sshd.start(servers, tmp_path)


def public_key(card: LocalCard, key_ref: int) -> str:
    """The key of a certificate, as OpenSSH writes it."""
    key = card.certificates[key_ref].public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def typing(folder: Path, passcode: str) -> dict[str, str]:
    """The environment in which OpenSSH is answered this when it asks for a PIN."""
    answer = folder / "askpass"
    answer.write_text(f"#!/bin/sh\necho {passcode}\n")
    answer.chmod(0o700)
    return {"SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}


@on_cards(*ALGORITHMS)
def test_ssh_keygen_reads_the_public_keys(card: LocalCard) -> None:
    listed = must(["ssh-keygen", "-D", str(module())]).splitlines()
    assert len(listed) == len(card.certificates)
    for line, key_ref in zip(listed, sorted(card.certificates), strict=True):
        assert line.startswith(public_key(card, key_ref))


@on_cards(*ALGORITHMS)
def test_a_login_with_the_card(card: LocalCard, server: Sshd, tmp_path: Path) -> None:
    server.authorize(public_key(card, KeyRef.AUTHENTICATION))
    before = len(card.used)
    command = [*server.client("-I", str(module())), "id -un"]
    assert must(command, **typing(tmp_path, PIN)).strip() == sshd.user()
    assert card.used[before:] == [KeyRef.AUTHENTICATION]


@on_cards(*ALGORITHMS)
def test_a_login_through_an_agent(
    card: LocalCard, server: Sshd, servers: Nursery, tmp_path: Path
) -> None:
    server.authorize(public_key(card, KeyRef.AUTHENTICATION))
    agent = tmp_path / "agent"
    servers.start("agent", "ssh-agent", "-D", "-a", str(agent)).wait_for("SSH_AUTH")
    place = {"SSH_AUTH_SOCK": str(agent)}
    must(["ssh-add", "-s", str(module())], **place, **typing(tmp_path, PIN))
    assert len(must(["ssh-add", "-l"], **place).splitlines()) == len(card.certificates)
    before = len(card.used)
    for _ in range(2):
        assert must([*server.client(agent=agent), "id -un"]).strip() == sshd.user()
        card.pkcs11("--login", "--pin", PIN, "--list-objects")  # another program comes and goes
    assert card.used[before:] == [KeyRef.AUTHENTICATION] * 2
    must(["ssh-add", "-e", str(module())], **place)
    assert run([*server.client(agent=agent), "id"]).code == 255


@on_cards(*ALGORITHMS)
def test_no_login_with_a_wrong_pin(card: LocalCard, server: Sshd, tmp_path: Path) -> None:
    server.authorize(public_key(card, KeyRef.AUTHENTICATION))
    before = len(card.used)
    command = [*server.client("-I", str(module()), "-o", "NumberOfPasswordPrompts=1"), "id"]
    ended = run(command, **typing(tmp_path, "000000"))
    assert (ended.code, ended.output) == (255, "")
    assert card.used[before:] == []
    card.pkcs11("--login", "--pin", PIN, "--list-objects")  # the tries are back


@on_cards(*ALGORITHMS)
def test_no_login_with_a_key_that_is_not_authorized(
    card: LocalCard, server: Sshd, tmp_path: Path
) -> None:
    other = Ed25519PrivateKey.generate().public_key()
    server.authorize(other.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())
    before = len(card.used)
    ended = run([*server.client("-I", str(module())), "id"], **typing(tmp_path, PIN))
    assert ended.code == 255
    assert "Permission denied (publickey)" in ended.errors
    assert card.used[before:] == []
