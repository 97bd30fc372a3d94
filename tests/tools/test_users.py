"""People from the command line, as a helpdesk has them: by what a caller says, on one screen."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result

from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.enrolment import spending
from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess, Workstation, code, refused_call
from support.terminal import show

COPIED = re.compile(r"[0-9a-f]{8}-[0-9a-f-]+|\d{12,}")
PIN = 0x80


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("users")
    with Nursery(folder / "logs") as nursery:
        yield KeystoreProcess(folder, nursery)


@dataclass
class Helpdesk:
    """An operator at a command line, whose commands are counted. What is typed is what somebody
    says on the telephone: no identifier, no serial number.
    """

    operator: Path
    typed: list[tuple[str, ...]] = field(default_factory=list)

    def __call__(self, *words: str) -> str:
        assert not [word for word in words if COPIED.search(word)]
        self.typed.append(words)
        done = run(self.operator, *words)
        assert done.exit_code == 0, done.output
        return done.stdout


def run(operator: Path, *arguments: str) -> Result:
    return CliRunner().invoke(ra, [*arguments, "--identity", str(operator)])


@pytest.fixture
def helpdesk(keystore: KeystoreProcess) -> Helpdesk:
    return Helpdesk(keystore.folder / "operator")


def asked(keystore: KeystoreProcess, *arguments: str) -> dict[str, object]:
    done = run(keystore.folder / "operator", *arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


def listed(keystore: KeystoreProcess, *arguments: str) -> list[dict[str, object]]:
    done = run(keystore.folder / "operator", *arguments, "--json")
    assert done.exit_code == 0, done.output
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


class TestHowManyCommands:
    """What a helpdesk does most takes two commands at most, and no copied identifier."""

    def test_unlock_a_caller(self, keystore: KeystoreProcess, helpdesk: Helpdesk) -> None:
        """AUTH-11: the phone knows that the passcode is locked without a use that fails."""
        user_id, phone = keystore.holder("Lock Smith", "lock@example.org")
        serial = keystore.card(user_id, phone)
        pc = keystore.workstation("LOCK-PC")
        with identity.channel(pc) as theirs, identity.channel(phone) as own:
            stub = workstation_pb2_grpc.WorkstationServiceStub(theirs)
            wrong = workstation_pb2.VerifyPasscodeRequest(
                card_serial=serial, key_ref=PIN, passcode=b"582046"
            )
            for _ in range(3):
                stub.VerifyPasscode(wrong, timeout=60)
            assert "locked" in run(helpdesk.operator, "card", "show", serial).output
            assert [card.passcode_state for card in Phone(phone, own).cards()] == ["locked"]
            assert "Agree until" in helpdesk("card", "unlock", "lock@example.org")
            assert Phone(phone, own).unlock(serial).passcode_state == "ok"
        assert len(helpdesk.typed) <= 2

    def test_replace_a_lost_phone(self, keystore: KeystoreProcess, helpdesk: Helpdesk) -> None:
        user_id, old = keystore.holder("Lost Phone", "o'lost+ward@example.org")
        keystore.card(user_id, old)
        helpdesk("device", "remove", "o'lost+ward@example.org", "--reason", "lost", "--yes")
        said = helpdesk("user", "invite", "lost phone")
        assert len(helpdesk.typed) <= 2
        [token] = re.findall(r"cc1\.\S+", said)
        new = spending.enrol(token, keystore.folder / "new-phone", "authenticator", "new phone")
        with identity.channel(new) as channel:
            assert [card.state for card in Phone(new, channel).cards()] == ["active"]
        with identity.channel(old) as channel:
            error = refused_call(Phone(old, channel).cards)
            assert code(error) is grpc.StatusCode.PERMISSION_DENIED

    def test_close_a_leaver(self, keystore: KeystoreProcess, helpdesk: Helpdesk) -> None:
        user_id, phone = keystore.holder("Leah Ver", "leah@example.org")
        serials = [keystore.card(user_id, phone) for _ in range(2)]
        pc = keystore.workstation("LEAVER-PC")
        with ExitStack() as open_:
            theirs = open_.enter_context(identity.channel(pc))
            stub = workstation_pb2_grpc.WorkstationServiceStub(theirs)
            waiting = Workstation(stub, serials[0]).create(os.urandom(16))
            helpdesk("user", "close", "leah@example.org", "--reason", "left the trust", "--yes")
            assert len(helpdesk.typed) == 1
            watched = workstation_pb2.WatchOperationRequest(operation_id=waiting.id)
            *_, last = stub.WatchOperation(watched, timeout=60)
            assert last.operation.state != waiting.state
            gone = workstation_pb2.VerifyPasscodeRequest(
                card_serial=serials[0], key_ref=PIN, passcode=b"135790"
            )
            error = refused_call(lambda: stub.VerifyPasscode(gone, timeout=60))
            assert code(error) is grpc.StatusCode.FAILED_PRECONDITION
        for serial in serials:
            assert asked(keystore, "card", "show", serial)["state"] == "revoked"
        shown = asked(keystore, "user", "show", "leah@example.org")
        assert (shown["state"], shown["stage"], shown["next"]) == ("closed", "closed", "")

    def test_see_who_has_not_finished(self, keystore: KeystoreProcess, helpdesk: Helpdesk) -> None:
        """CARD-11, USER-01, USER-06."""
        asked(keystore, "user", "add", "Penny Ding", "--email", "penny@example.org")
        said = helpdesk("pending")
        assert len(helpdesk.typed) == 1
        (line,) = [line for line in said.splitlines() if "Penny Ding" in line]
        assert "invited" in line
        assert "cloudcard ra card issue penny@example.org" in line


def test_closing_says_first_what_it_ends(keystore: KeystoreProcess, tmp_path: Path) -> None:
    user_id, phone = keystore.holder("Clo Sing", "clo@example.org")
    serial = keystore.card(user_id, phone)
    foreseen = asked(keystore, "user", "close", "clo@example.org", "--dry-run")
    facts = (foreseen["cards"], foreseen["phones"], foreseen["closed"])
    assert facts == ([serial], ["phone"], False)
    operator = ("--identity", str(keystore.folder / "operator"))
    own = {"CLOUDCARD_HOME": str(tmp_path)}
    for answer, state in (("n", "active"), ("y", "revoked")):
        status, seen = show(
            *("ra", "user", "close", "clo@example.org", *operator),
            folder=tmp_path,
            environment=own,
            answers={r"Go on\? \[y/N\]: ": answer},
        )
        assert status == (answer == "n")
        assert f"card {serial}" in " ".join(seen.split())
        assert "can never be read again" in " ".join(seen.split())
        assert asked(keystore, "card", "show", serial)["state"] == state
    # Repeated, it asks nothing more, and ends nothing more.
    again = asked(keystore, "user", "close", "clo@example.org")
    assert (again["closed"], again["cards"], again["phones"]) == (True, [], [])


def test_without_a_terminal_nobody_is_closed_by_mistake(keystore: KeystoreProcess) -> None:
    asked(keystore, "user", "add", "Stay Here", "--email", "stay@example.org")
    done = run(keystore.folder / "operator", "user", "close", "stay@example.org")
    assert done.exit_code == 2
    assert "say --yes" in done.output
    assert asked(keystore, "user", "show", "stay@example.org")["state"] == "pending"


def test_who_is_added_twice(keystore: KeystoreProcess) -> None:
    words = ("user", "add", "Ida Dent", "--email", "ida@example.org")
    first, again = asked(keystore, *words), asked(keystore, *words)
    assert (first["added"], again["added"]) == (True, False)
    assert (again["id"], again["token"]) == (first["id"], None)
    done = run(keystore.folder / "operator", *words)
    assert done.exit_code == 0
    assert "cloudcard ra user invite ida@example.org" in done.stderr
    other = run(keystore.folder / "operator", "user", "add", "Ivo", "--email", "IDA@example.org")
    assert other.exit_code == 1
    assert f"Ida Dent, UUID {first['uuid12']}" in other.output


def test_a_person_by_any_part_of_the_name(keystore: KeystoreProcess) -> None:
    """USER-12, in NFC and NFD."""
    made = asked(keystore, "user", "add", "Zoë Żółć", "--email", "o'zoe+x@example.org")
    for text in ("zoe", "ZOE\u0308", "o'zoe+", str(made["uuid12"])[3:]):
        assert [each["id"] for each in listed(keystore, "user", "find", text)] == [made["id"]]
    nobody = run(keystore.folder / "operator", "user", "find", "nobody at all")
    assert nobody.stdout == 'Nobody is called "nobody at all".\n'


@pytest.mark.parametrize("typed", ["{uuid12}", "sho@example.org", "SHO WN", "sho", "{id}"])
def test_a_person_on_one_screen(keystore: KeystoreProcess, tmp_path: Path, typed: str) -> None:
    """USER-10, USER-23: everything in 80 columns, and nothing is cut."""
    if not listed(keystore, "user", "find", "sho@example.org"):
        user_id, phone = keystore.holder("Sho Wn", "sho@example.org")
        keystore.card(user_id, phone)
    (found,) = listed(keystore, "user", "find", "sho@example.org")
    who = typed.format(**found)
    shown = asked(keystore, "user", "show", who)
    assert (shown["state"], shown["uuid12"]) == ("enrolled", found["uuid12"])
    (card,), (phone_row,) = shown["cards"], shown["devices"]  # type: ignore[misc]
    ends = listed(keystore, "device", "list", who)
    assert [each["expires"] for each in ends] == [phone_row["expires"]]
    assert (card["state"], phone_row["state"]) == ("active", "active")
    events = shown["events"]
    assert isinstance(events, list)
    assert events[-1]["text"] == "Operator first operator added the person"
    assert f"card {card['serial']}" in " ".join(each["text"] for each in events)
    status, seen = show(
        *("ra", "user", "show", who, "--identity", str(keystore.folder / "operator")),
        folder=tmp_path,
        environment={"CLOUDCARD_HOME": str(tmp_path)},
    )
    assert status == 0
    assert max(map(len, seen.splitlines())) <= 80
    for word in (found["uuid12"], "Sho Wn", card["serial"], "phone", *(e["time"] for e in events)):
        assert str(word) in seen
    assert len(seen.splitlines()) <= 24 + len(events)


def test_a_name_and_an_address_are_changed(keystore: KeystoreProcess) -> None:
    asked(keystore, "user", "add", "Edi Ted", "--email", "edi@example.org")
    changed = asked(keystore, "user", "edit", "edi@example.org", "--name", "Edi Lovelace")
    assert (changed["name"], changed["email"]) == ("Edi Lovelace", "edi@example.org")
    changed = asked(keystore, "user", "edit", "edi@example.org", "--email", "e.l@example.org")
    assert (changed["name"], changed["email"]) == ("Edi Lovelace", "e.l@example.org")
    shown = asked(keystore, "user", "show", "e.l@example.org")
    events = shown["events"]
    assert isinstance(events, list)
    assert events[0]["text"].endswith("address from edi@example.org to e.l@example.org")
    nothing = run(keystore.folder / "operator", "user", "edit", "e.l@example.org")
    assert nothing.exit_code == 2


def test_the_person_at_the_terminal_chooses_among_several(
    keystore: KeystoreProcess, tmp_path: Path
) -> None:
    for name in ("Twin One", "Twin Two"):
        asked(keystore, "user", "add", name, "--email", f"{name[-3:]}@example.org")
    words = ("ra", "user", "show", "twin", "--identity", str(keystore.folder / "operator"))
    own = {"CLOUDCARD_HOME": str(tmp_path)}
    question = r"Which one\? \[none\]: "
    status, seen = show(*words, folder=tmp_path, environment=own, answers={question: "2"})
    assert status == 0
    assert re.search(r"^E-mail +Two@example\.org$", seen, re.MULTILINE)
    status, seen = show(*words, folder=tmp_path, environment=own, answers={question: ""})
    assert status == 1
    assert "nothing was changed" in seen
    # Programs get the list.
    done = run(keystore.folder / "operator", "user", "show", "twin", "--json")
    assert done.exit_code == 1


def test_what_ends_soon(keystore: KeystoreProcess) -> None:
    """CARD-12: cards of 730 days."""
    user_id, phone = keystore.holder("Ex Pire", "ex@example.org")
    serial = keystore.card(user_id, phone)
    assert serial not in {each["name"] for each in listed(keystore, "expiring")}
    rows = listed(keystore, "expiring", "--days", "800")
    (card,) = [each for each in rows if each["name"] == serial]
    assert (card["sort"], card["holder"]) == ("card", "Ex Pire")
    days = [int(str(each["days_left"])) for each in rows]
    assert days == sorted(days)
    assert (
        "Nothing ends within 0 days."
        in run(keystore.folder / "operator", "expiring", "--days", "0").output
    )
