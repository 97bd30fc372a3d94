"""What a holder does at the portal is agreed to by `cloudcard authenticator`: a real keystore with
pages, a plain client of HTTP at the portal, and what attackers get of the calls.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud_keystore.approval import statement
from cloud_keystore.model.portal.assents import Subject
from cloudcard.authenticator.v1 import holder_pb2, holder_pb2_grpc, pins_pb2, pins_pb2_grpc
from cloudcard.authenticator.v1.authenticator_pb2 import PortalQuestion
from cloudcard.registry.v1 import identities_pb2, organisations_pb2
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.authenticator.approving import Choice, register, sign
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.authenticator.questions import not_me
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.remote.refusals import reason
from support.keystore_process import KeystoreProcess, Workstation, refused_call
from support.mail_server import MailServer, options_to, serving
from support.portal import PASSWORD
from support.web_guest import Letters, WebGuest

PIN, OTHER_PIN = "246802", "975310"
FACTOR, LOG_IN = "Ask this phone at each log-in?", "Log in to the portal?"


@dataclass
class Town:
    """A keystore with pages."""

    keystore: KeystoreProcess
    at: str
    mail: MailServer


@dataclass
class Ada:
    """Somebody with a phone in a terminal and a password."""

    town: Town
    letters: Letters
    user_id: str
    phone: identity.Identity

    def guest(self) -> WebGuest:
        """Ada in a browser that nobody has used."""
        return WebGuest(self.town.at, self.letters)

    def visit(self) -> WebGuest:
        """Ada, who has logged in by a mailed code."""
        guest = self.guest()
        guest.log_in()
        assert guest.enter(self.letters.code("Your code to log in"))
        return guest

    def another_phone(self, choice: Choice = Choice.TLS) -> identity.Identity:
        """One more phone of hers."""
        asked = identities_pb2.CreateDeviceTokenRequest(user_id=self.user_id)
        keystore, more = self.town.keystore, partial(register, choice)
        token = keystore.registry.identities.CreateDeviceToken(asked).device_token.text
        folder = self.phone.folder.with_suffix(".other")
        return spending.enrol(token, folder, "authenticator", "another", more)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("questions")
    (port,) = free_ports(1)
    at = f"127.0.0.1:{port}"
    with serving(MailServer()) as mail, Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery, ("--web", at, *options_to(mail)))
        policy = organisations_pb2.Policy(largest_batch=1, portal_passwords=True)
        asked = organisations_pb2.SetPolicyRequest(policy=policy)
        keystore.registry.organisations.SetPolicy(asked)
        yield Town(keystore, at, mail)


@pytest.fixture
def ada(town: Town, tmp_path: Path) -> Ada:
    """Somebody for each test: nobody's phone is asked too often."""
    email = f"{tmp_path.name.replace('_', '-').lower()}@example.org"
    user_id, phone = town.keystore.holder(f"Ada of {tmp_path.name}", email)
    made = Ada(town, Letters(town.mail, email), user_id, phone)
    with identity.channel(phone) as channel:
        own = holder_pb2_grpc.HolderServiceStub(channel)
        own.SendAddressCode(holder_pb2.SendAddressCodeRequest())
        code = made.letters.code("Your code to verify this address")
        assert own.VerifyAddress(holder_pb2.VerifyAddressRequest(code=code)).is_verified
        new = holder_pb2.SetPortalPasswordRequest(password=PASSWORD)
        assert own.SetPortalPassword(new).is_set
    return made


def type_(phone: identity.Identity, *words: str, given: str = "") -> Result:
    """Run a command of a phone."""
    asked = ["authenticator", *words, "--identity", str(phone.folder), "--json"]
    return CliRunner().invoke(cloudcard, asked, given)


@contextmanager
def opened(phone: identity.Identity) -> Iterator[Phone]:
    with identity.channel(phone) as channel:
        yield Phone(phone, channel)


def other_than(number: str) -> str:
    return "10" if number != "10" else "11"


def test_a_phone_in_a_terminal_agrees_to_log_ins(ada: Ada) -> None:
    """AUTH-06, AUTH-07: it shows in words what is asked, and takes the number that the portal
    shows; a wrong one is a no. `watch` rings for it, and asks for the phone's PIN.
    """
    asked = ("--identity", str(ada.phone.folder), "--json")
    nursery = ada.town.keystore.nursery
    visit = ada.visit()
    number = visit.ask_phone_always()
    (question,) = json.loads(type_(ada.phone, "questions", "list").output)
    assert (question["subject"], question["title"]) == ("factor", FACTOR)
    listed = ["authenticator", "questions", "list", "--identity", str(ada.phone.folder)]
    table = CliRunner().invoke(cloudcard, listed).output
    assert all(str(question[each]) in table for each in ("id", "subject", "title", "answer_until"))
    yes = ("-m", "cloudcard_tools", "authenticator", "questions", "yes", "factor")
    child = nursery.start_python("yes", *yes, "--number", number, *asked)
    assert child.wait(60) == 0
    assert json.loads("\n".join(child.unread())) == {**question, "state": "agreed"}
    assert visit.settle()
    watch = nursery.start_python("watch", "-m", "cloudcard_tools", "authenticator", "watch", *asked)
    watch.wait_for_json(event="watching", timeout=60)
    guest = ada.guest()
    number = guest.log_in()
    assert not guest.enter()
    rung = watch.wait_for_json(event="question", title=LOG_IN, timeout=60)
    watch.send(other_than(number))
    watch.wait_for_json(event="decided", operation=rung["id"], state="denied", timeout=60)
    assert not guest.enter()
    chosen = type_(ada.phone, "pin", "--choose", "--pin-stdin", given=f"{PIN}\n")
    assert json.loads(chosen.output) == {"pin": "set"}
    number = guest.log_in()
    (rung,) = json.loads(type_(ada.phone, "questions", "list").output)
    watch.wait_for_json(event="question", id=rung["id"], timeout=60)
    watch.send(number)
    watch.wait_for_json(event="pin", operation=rung["id"], timeout=60)
    watch.send(OTHER_PIN)
    watch.wait_for_json(event="failure", operation=rung["id"], timeout=60)
    watch.send(number)
    watch.send(PIN)
    watch.wait_for_json(event="decided", operation=rung["id"], state="agreed", timeout=60)
    assert guest.enter()
    assert "Your cards" in guest.send("GET", "/me")[1]


def test_the_pin_of_the_phone_is_for_one_yes(ada: Ada) -> None:
    """AUTH-06: the attack: a found terminal, which is open. A no needs no PIN."""
    phone, visit = ada.another_phone(), ada.visit()
    number = visit.ask_phone_always()
    chosen = ("pin", "--choose", "--pin-stdin")
    assert type_(phone, *chosen, given="123456\n").exit_code == 1
    assert type_(phone, *chosen, given=f"{PIN}\n").exit_code == 0
    assert json.loads(type_(phone, "pin").output)["pin"] == "set"
    yes = ("questions", "yes", "factor", "--number", number)
    none, wrong = type_(phone, *yes), type_(phone, *yes, "--pin-stdin", given=f"{OTHER_PIN}\n")
    assert (none.exit_code, wrong.exit_code) == (2, 1)
    assert "asks for its PIN" in none.output
    (question,) = json.loads(type_(phone, "questions", "list").output)
    with opened(phone) as own:
        own.check_pin(PIN, "another")
        refused = refused_call(lambda: own.say_yes(question["id"], number))
        assert reason(refused) == "APPROVAL_REJECTED"
    right = type_(phone, *yes, "--pin-stdin", given=f"{PIN}\n")
    assert json.loads(right.output)["state"] == "agreed"
    changed = type_(phone, "pin", "--change", "--pin-stdin", given=f"{PIN}\n{OTHER_PIN}\n")
    assert changed.exit_code == 0
    ada.visit().ask_phone_always()
    denied = type_(phone, "questions", "no", "factor")
    assert json.loads(denied.output)["state"] == "denied"


def test_the_pin_is_asked_for_before_a_key_is_used(ada: Ada) -> None:
    keystore = ada.town.keystore
    serial = keystore.card(ada.user_id, ada.phone)
    pc = keystore.workstation(f"PC of {ada.letters.email}")
    assert type_(ada.phone, "pin", "--choose", "--pin-stdin", given=f"{PIN}\n").exit_code == 0
    with identity.channel(pc) as channel:
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        made = Workstation(stub, serial).create(os.urandom(16))
    approve = ("approve", made.id, "--number", made.number)
    assert type_(ada.phone, *approve).exit_code == 2
    done = type_(ada.phone, *approve, "--pin-stdin", given=f"{PIN}\n")
    assert json.loads(done.output)["state"] == "approved"


@pytest.mark.parametrize("choice", [Choice.ED25519, Choice.PASSKEY])
def test_a_yes_is_signed_by_the_key_that_approves(ada: Ada, choice: Choice) -> None:
    """The attack: whoever has the key of the connections and no other, or a yes for another
    question or another number. The right one counts once.
    """
    phone, visit = ada.another_phone(choice), ada.visit()
    number = visit.ask_phone_always()
    with identity.channel(phone) as channel:
        own, stub = Phone(phone, channel), holder_pb2_grpc.HolderServiceStub(channel)
        (question,) = own.questions()
        for signed in (
            b"",
            sign(phone.first_key(), statement.assent(question.id, number)),
            sign(phone.first_key(), statement.assent("another", number)),
        ):
            said = holder_pb2.AnswerPortalQuestionRequest(
                question_id=question.id,
                answer=holder_pb2.PORTAL_ANSWER_YES,
                number=number,
                device_signature=signed,
            )
            refused = refused_call(lambda said=said: stub.AnswerPortalQuestion(said, timeout=60))
            assert reason(refused) == "APPROVAL_REJECTED"
        assert own.say_yes(question.id, number)
        again = refused_call(lambda: own.say_yes(question.id, number))
        assert reason(again) == "OPERATION_CLOSED"
        assert own.questions() == []


def test_nobody_else_answers(ada: Ada) -> None:
    """The attack: a phone of somebody else, one that was removed, and calls that say nothing."""
    visit = ada.visit()
    number = visit.ask_phone_always()
    _, stranger = ada.town.keystore.holder("Mallory")
    removed = ada.another_phone()
    with opened(removed) as lost, opened(stranger) as theirs, opened(ada.phone) as own:
        (question,) = lost.questions()
        assert theirs.questions() == []
        for act in (
            lambda: theirs.say_yes(question.id, number),
            lambda: theirs.say_no(question.id, is_me=False),
            lambda: theirs.say_yes("nobody", number),
        ):
            assert reason(refused_call(act)) == "OPERATION_NOT_FOUND"
        asked = identities_pb2.RemoveDeviceRequest(device_id=removed.id, reason="lost")
        ada.town.keystore.registry.identities.RemoveDevice(asked)
        gone = refused_call(lambda: lost.say_yes(question.id, number))
        assert reason(gone) == "IDENTITY_REJECTED"
        assert [each.id for each in own.questions()] == [question.id]
    with identity.channel(ada.phone) as channel:
        stub = holder_pb2_grpc.HolderServiceStub(channel)
        unsaid = holder_pb2.AnswerPortalQuestionRequest(question_id=question.id, number=number)
        refused = refused_call(lambda: stub.AnswerPortalQuestion(unsaid, timeout=60))
        assert reason(refused) == "INVALID_INPUT"


def test_not_me_logs_everybody_out(ada: Ada) -> None:
    """The attack: somebody who knows the password is at the portal."""
    visit = ada.visit()
    visit.ask_phone_always()
    done = type_(ada.phone, "questions", "not-me", "factor")
    assert json.loads(done.output)["state"] == "denied"
    assert visit.send("GET", "/me/phones")[0] == 303


@pytest.mark.parametrize("subject", list(Subject))
def test_who_was_not_it_is_told_what_somebody_knows(subject: Subject) -> None:
    """Who has caused a reset has the mail, and anybody else the password."""
    told = not_me(PortalQuestion(subject=subject))
    assert ("reads your e-mail" in told) == (subject is Subject.RESET)
    assert ("knows your password" in told) == (subject is not Subject.RESET)


def test_tries_at_the_pin_are_counted_and_limited(ada: Ada) -> None:
    phone = ada.another_phone()
    with identity.channel(phone) as channel:
        pins = pins_pb2_grpc.AppPinServiceStub(channel)
        chosen = pins.ChooseAppPin(pins_pb2.ChooseAppPinRequest(pin=PIN.encode()))
        assert chosen.result.is_right
        wrong = pins_pb2.CheckAppPinRequest(pin=OTHER_PIN.encode(), request_id="any")
        left: list[int] = []
        while not left or left[-1]:
            left.append(pins.CheckAppPin(wrong, timeout=60).result.tries_left)
        assert left == sorted(left, reverse=True)
        right = pins_pb2.CheckAppPinRequest(pin=PIN.encode(), request_id="any")
        assert pins.CheckAppPin(right, timeout=60).result.tries_left == 0
        asked = identities_pb2.CreateAppPinCodeRequest(device_id=phone.id)
        code = ada.town.keystore.registry.identities.CreateAppPinCode(asked).code
    reset = ("pin", "--code", "--pin-stdin")
    assert type_(phone, *reset, given=f"{code}\n{OTHER_PIN}\n").exit_code == 0
    assert json.loads(type_(phone, "pin").output)["tries_left"] > 0
