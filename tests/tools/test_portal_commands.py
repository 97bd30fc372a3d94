"""A holder sets a password on the phone, forgets it, and sets another one with letters that a real
mail server gets, as `cloudcard authenticator portal` and the REST API have it.
"""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudcard.registry.v1 import clients_pb2, organisations_pb2
from cloudcard_client.calling import Calling, Https
from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.authenticator import portal
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess
from support.mail_server import MailServer, options_to, serving
from support.portal import ANSWERS, EMAIL, OTHER, PASSWORD, QUESTIONS, code_in


def letter(mail: MailServer, subject: str) -> str:
    """The text of the last letter that is about something."""
    for count in range(1, 20):
        found = mail.wait_for(count)
        if found[-1]["subject"] == subject:
            body = found[-1].get_body(("plain",))
            assert body is not None
            return str(body.get_content())
    raise AssertionError(subject)


def test_a_holder_sets_and_forgets_a_password(tmp_path: Path) -> None:
    """AUTH-13, AUTH-14."""
    (port,) = free_ports(1)
    at = f"127.0.0.1:{port}"
    with serving(MailServer()) as mail, Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery, ("--rest", at, *options_to(mail)))
        registry = keystore.registry
        policy = organisations_pb2.Policy(
            largest_batch=1, portal_passwords=True, security_answers=2
        )
        registry.organisations.SetPolicy(organisations_pb2.SetPolicyRequest(policy=policy))
        _, phone = keystore.holder("Ada", EMAIL)

        def type_(*words: str, given: str = "") -> dict[str, object]:
            asked = ["authenticator", "portal", *words, "--identity", str(phone.folder), "--json"]
            done = CliRunner().invoke(cloudcard, asked, given)
            assert done.exit_code == 0, done.output
            return dict(json.loads(done.output))

        type_("address")
        code = code_in(letter(mail, "Your code to verify this address"))
        assert type_("address", "--code", code)["verified"] is True
        type_("password", "--password-stdin", given=f"{PASSWORD}\n")
        texts = [each.text for each in QUESTIONS]
        type_("questions", *texts, "--answers-stdin", given="\n".join((*ANSWERS, "")))
        assert type_("show")["questions"] == "; ".join(texts)
        asked = clients_pb2.CreateClientRequest(display_name="portal", roles=["portal"])
        tls = ssl.create_default_context(cafile=str(tmp_path / "operator" / "ca.pem"))
        calling = Calling(Https(f"https://{at}", tls), registry.clients.CreateClient(asked).token)

        def own(call: str, **given: object) -> dict[str, object]:
            return dict(calling.post(f"/v1/self/password:{call}", {"name": EMAIL, **given}).json)

        assert own("check", password=PASSWORD)["is_right"]
        own("forget")
        code = code_in(letter(mail, "Your code to set another password"))
        given = {"code": code, "new_password": OTHER, "answers": ANSWERS}
        assert own("reset", **given)["is_set"]
        assert own("check", password=OTHER)["is_right"]
    logs = "".join(each.read_text() for each in (tmp_path / "logs").iterdir())
    assert not any(secret in logs for secret in (PASSWORD, OTHER, code, *ANSWERS))


@pytest.mark.parametrize("words", [("password",), ("questions", "One?", "Two?", "Three?")])
def test_what_is_typed_is_not_shown(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """AUTH-14: answers and passwords are masked."""
    hidden: list[bool] = []

    def prompt(_text: str, *, hide_input: bool = False, **_more: object) -> str:
        hidden.append(hide_input)
        raise EOFError

    monkeypatch.setattr(portal.click, "prompt", prompt)
    monkeypatch.setattr(portal.sys, "stdin", type("Terminal", (), {"isatty": lambda _: True})())
    with pytest.raises(EOFError):
        portal.secrets_typed(words[1:] or words, from_stdin=False)
    assert hidden == [True]
