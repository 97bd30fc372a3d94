"""E-mail of a whole keystore, whose process that sends has no key and reads no file of it."""

from __future__ import annotations

import json
import os
import signal
import ssl
from pathlib import Path

import pytest

from cloudcard.registry.v1 import identities_pb2, notifications_pb2, people_pb2
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared.processes import Nursery
from support import hooks
from support.authority import Authority
from support.keystore_process import KeystoreProcess
from support.mail_server import DROP, HANG, MailServer, options_to, serving
from support.polling import until

PASSWORD = "s3cret"


def states(keystore: KeystoreProcess) -> list[str]:
    """What became of each e-mail that is not a reminder."""
    asked = notifications_pb2.ListNotificationsRequest()
    pages = keystore.registry.notifications.ListNotifications(asked)
    found = [each for page in pages for each in page.notifications]
    return [each.state for each in found if each.template != "reminder"]


def mail_process(keystore: KeystoreProcess) -> int:
    """The process that sends."""
    (found,) = [pid for pid in keystore.pids if name_of(pid).startswith("mail ")]
    return found


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return ""


def test_who_is_invited_by_mail_enrols_with_its_token(tmp_path: Path) -> None:
    """BUG-02, BUG-25: under TLS, signed in, to an address with an apostrophe and a plus, after a
    connection that was lost.
    """
    authority = Authority()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.write_server(tmp_path))
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text(PASSWORD)
    with (
        serving(MailServer(password=PASSWORD), tls) as server,
        Nursery(tmp_path / "logs") as nursery,
    ):
        options = (
            *("--mail-server", f"localhost:{server.port}", "--mail-user", "keystore"),
            *(
                "--mail-password-file",
                str(password),
                "--mail-roots",
                str(authority.write(tmp_path)),
            ),
            *("--mail-from", "keystore@example.org", "--public-url", "https://cards.example.org"),
            *("--mail-help", "the service desk"),
        )
        keystore = KeystoreProcess(tmp_path, nursery, options)
        made = keystore.registry.people.CreateUser(
            people_pb2.CreateUserRequest(display_name="Ada", email="o'brien+x@example.org")
        )
        (letter,) = server.wait_for(1)
        assert server.addresses == ["o'brien+x@example.org"]
        text = letter.get_body(("plain",))
        assert text is not None
        (token,) = [line for line in text.get_content().splitlines() if line.startswith("cc1.")]
        assert token == made.device_token.text
        spending.enrol(token, tmp_path / "phone", "authenticator", "phone")
        (_, enrolled) = server.wait_for(2)
        assert enrolled["Subject"] == "Your phone is enrolled"
        until(lambda: states(keystore) == ["sent", "sent"])
        log = (tmp_path / "logs" / "keystore.log").read_text()
        assert "an e-mail was tried" in log
        for secret in ("brien", token, PASSWORD):
            assert secret not in log


@pytest.mark.parametrize("lost", ["connection", "process"])
def test_what_was_on_its_way_is_not_lost(tmp_path: Path, lost: str) -> None:
    """BUG-25: after kill -9 of whoever sends, the others go on, and what it had waits for the end
    of the lease: nobody knows whether it was taken.
    """
    with (
        serving(MailServer(answers=[DROP if lost == "connection" else HANG])) as server,
        Nursery(tmp_path / "logs") as nursery,
    ):
        keystore = KeystoreProcess(tmp_path, nursery, options_to(server))
        made = keystore.registry.people.CreateUser(
            people_pb2.CreateUserRequest(display_name="Ada", email="ada@example.org")
        )
        server.wait_for_tries(1)
        if lost == "process":
            os.kill(mail_process(keystore), signal.SIGKILL)
        keystore.registry.identities.CreateDeviceToken(
            identities_pb2.CreateDeviceTokenRequest(user_id=made.user.id)
        )
        server.wait_for(1)
        first = "waiting" if lost == "connection" else "sending"
        until(lambda: states(keystore) == [first, "sent"])


def test_a_phone_and_a_chat_are_told_without_a_mail_server(tmp_path: Path) -> None:
    """USER-04, COM-05: the process that posts reads no file of the keystore any more; the sink was
    open before.
    """
    with hooks.serving(hooks.Gateway()) as chat, Nursery(tmp_path / "logs") as nursery:
        url = tmp_path / "chat-url"
        url.touch(0o600)
        url.write_text(f"http://127.0.0.1:{chat.port}/s3cret\n")
        options = ("--sms-file", str(tmp_path / "sms"), "--chat-url-file", str(url))
        keystore = KeystoreProcess(tmp_path, nursery, (*options, "--chat-form", "slack"))
        people = keystore.registry.people
        asked = people_pb2.CreateUserRequest(display_name="Ada", email="ada@example.org")
        user_id = people.CreateUser(asked).user.id
        number = people_pb2.UpdateUserRequest(user_id=user_id, phone="+447700900123")
        people.UpdateUser(number)
        people.SendPhoneCode(people_pb2.SendPhoneCodeRequest(user_id=user_id))
        until(lambda: (tmp_path / "sms").stat().st_size > 0)
        message = json.loads((tmp_path / "sms").read_text())
        assert message["to"] == "+447700900123"
        code = message["text"].split()[0]
        given = people_pb2.VerifyPhoneRequest(user_id=user_id, code=code)
        assert people.VerifyPhone(given).is_verified
        until(lambda: states(keystore) == ["sent"])
        log = (tmp_path / "logs" / "keystore.log").read_text()
        for secret in (code, "900123", "s3cret"):
            assert secret not in log
