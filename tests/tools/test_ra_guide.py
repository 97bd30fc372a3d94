"""Every command of docs/ra.md, played in the order in which a registration authority needs them.
What the guide shows is compared.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support import warm_starts
from support.guides import DOCS, Block, run_by, shows
from support.keystore_process import KeystoreProcess, Workstation
from support.mail_server import MailServer, options_to, serving
from support.terminal import show

ROWS = re.findall(r"^\| (?!task|---)(.*) \| (.*) \|$", (DOCS / "ra.md").read_text(), re.MULTILINE)
COMMANDS = [
    command.replace("… ", "cloudcard ra ", 1)
    for _, said in ROWS
    for command in re.findall(r"`((?:cloudcard ra|…) [^`]+)`", said)
]
# What a person would put for the words in capitals.
WORDS = {
    "USER": "ada@example.org",
    "LEAVER": "Grace Hopper",
    "DEVICE": "Ada's phone",
    "WORKSTATION": "WARD7-PC3",
    "OPERATOR": "Charles",
    "AUDITOR": "Charles",
    "CLIENT": "HR system",
    "S-1-5-21-…": "S-1-5-21-1-2-3-1001",
    "FOLDER": "certificates",
}
# What the fixture has done.
BEGUN = ("cloudcard ra enrol TOKEN", 'cloudcard ra user add "Ada Byron" --email ada@example.org')
IRREVERSIBLE = ("remove", "revoke", "close", "delete", "move")
# What a command of the table says, if it does what the table's words promise.
SAYS = {
    "user add": r"^Phone's token +cc1\.",
    "user invite": r"^Phone's token +cc1\.",
    "user short-code": r"^Short code +[A-Z]{4}-[A-Z]{4}-[A-Z]{4}\nGood until +\d{4}-",
    "user verify-email": r"^Sent to +ada@example\.com$",
    "import people.csv": r"^Rows +3\nAdded +3$",
    "export users": r"^File +all\.csv\nRows +\d+$",
    "export pending": r"^File +pending\.csv\nRows +\d+$",
    "export cards": r"^File +cards\.csv\nRows +\d+$",
    "notify list": r"^Ada Byron +email +ada@example\.org |^Nothing has failed\.$",
    "notify retry": r"^Tried again +0$",
    "notify test": r"^On its way to +you@example\.org$",
    "account add": r"^State +active$",
    "account list": r"^CORP\\ada  +(ada@corp\.example  +)?active ",
    "account disable": r"^State +disabled$",
    "account enable": r"^State +active$",
    "account remove": r"^Account +CORP\\ada$",
    "domain list": r"^All domains are allowed\.$",
    "directory differences": r"^Directories say nothing else\.$",
    "directory mappings": r"^No group gives a role\.$",
    "directory operators": r"^Nobody has said it of any operator: ",
    "user list": r"  Ada Byron .*  1  \d{16}",
    "user find": r"  [1-9]\d{11}  Ada Byron  ada@example\.org  enrolled ",
    "user show": r"^UUID +[1-9]\d{11}\nName +Ada Byron\nE-mail +ada@example\.",
    "user edit": r"^New e-mail, not verified +ada@example\.com$",
    "user join": r"^St Elsewhere +no ",
    "user leave": r"^Default +yes ",
    "user close": r"^Cards revoked +-$",
    "pending": r"^\d{12}  Ada Byron ",
    "expiring": r"^Nothing ends within 90 days\.$",
    "device show": r"^Holder +Ada Byron$",
    "device list": r"  Ada's phone +active +native ",
    "device remove": r"^Name +Ada's phone\nState +removed$",
    "alerts list": r"  not-me +\d{16} +Ada Byron +PC ",
    "alerts acknowledge": r"^Seen to +\d{4}-",
    "workstation add": r"^Name +WARD7-PC3\nSite +Ward 7\nToken +cc1\.",
    "workstation list": r"  WARD7-PC3 +Ward 7 +invited |  PC +Ward 7 +active .*  0\.1\.0  +linux ",
    "workstation problems": r"^WARD7-PC3 has not said what is wrong\. ",
    "workstation remove": r"^Name +WARD7-PC3\nSite +Ward 7\nState +removed$",
    "operator invite": r"^Token +cc1\.",
    "operator list": r"  first operator +active .*\n.*  Charles +invited ",
    "operator remove": r"^Name +Charles\nState +removed$",
    "auditor add": r"^Token +cc1\.",
    "auditor list": r"  Charles +invited ",
    "auditor remove": r"^Name +Charles\nState +removed$",
    "client add": r"^Roles +ra-agent\n.*\n.*\nToken +ccapi_",
    "client list": r"  HR system +active +ra-agent ",
    "webhook add": r"^Old secret until +-\nSecret +whsec_",
    "webhook list": r"HR system +https://hr\.example\.org/hook +active ",
    "webhook show": r"^Address +https://hr\.example\.org/hook\nState +active$",
    "webhook test": r"^About +webhook\.tested\nState +waiting$",
    "webhook deliveries": r"^(\S+ +)?webhook\.tested +|^Nothing has failed\.$",
    "webhook rotate": r"^Old secret until +\d{4}-.*\nSecret +whsec_",
    "webhook retry": r"^Sent again +0$",
    "webhook remove": r"^State +removed$",
    "client remove": r"^Name +HR system\nState +removed$",
    "profile list": r"^v2\* +9 +Authentication and advanced electronic signatures ",
    "profile create": r"^Series +Series 8\nOldest app +1\.10\nSerial +150\nDays +730$",
    "profile show": r"^Base +v2\nSeries +Series 8$",
    "profile edit": r"^Days +365$",
    "profile delete": r"^Profile +series-8$",
    "card issue": r"^Holder +Ada Byron\nState +pending\nPasscode +not set yet\nProfile +v2$",
    "organisation add": r"^Name +(St Elsewhere|Ward 7)$",
    "organisation edit": r"^Help +the service desk, 020 7946 0000$",
    "organisation migrate": r"^People +0\nCards +0$|^People +\d+$",
    "organisation move": r"^Below +St Elsewhere$",
    "workstation edit": r"^Name +WARD7-PC3$",
    "operator edit": r"^Name +Charles$",
    "auditor edit": r"^Name +Charles$",
    "report cards": r"^Default +p256 |^Rows +\d+$",
    "report access": r"^Nobody had any role\.$|^first operator +active +ra-manager ",
    "role list": r"^ra-agent  +view people issue unlock ",
    "request list": r"^Nothing waits for another operator\.$",
    "request rules": r"^Each operator acts alone",
    "role create": r"^Role +ward-clerk\nRights +view unlock$",
    "role edit": r"^Rights +view suspend$",
    "role delete": r"^Role +ward-clerk$",
    "role show": r"^Charles  +ra-manager  +Default  +in force ",
    "role grant": r"^Who +Charles\nRole +ra-agent\nOrganisation +St Elsewhere\nState +in force$",
    "role withdraw": r"^State +ended$",
    "policy set": r"^Uses in a session +500\nSeconds of a session +28800$|^Without passcode +yes$",
    "policy list": r"^St Elsewhere +p256 +1 +yes ",
    "policy show": r"^Without passcode +no +default +-$",
    "ca list": r"^cloudcard card CA +\S.* yes ",
    "ca show": r"^Issues cards +yes$",
    "ca crl": r"^Revoked +\d+$",
    "ca external": r"^No external authorities: ",
    "card requests": r"^No card waits for certificates\.$",
    "card list": r"^\d{16} +Ada Byron +suspended +3 tries left +p256 ",
    "card show": r"^Keys +9A +P-256 .*CN=Ada Byron ",
    "card unlock": r"^Agree until +\d{4}-",
    "card code": r"^Code +\d{10}\nGood until +\d{4}-",
    "feedback add": r"^Feedback +[0-9a-f]{8}-",
    "feedback list": r"  first operator +Sort cards by ward$",
    "feedback nps": r"^Net promoter score +-\nAnswers +0$",
    "card suspend": r"^State +suspended$",
    "card resume": r"^State +active$",
    "card replace": r"^Replaces +\d{16}$",
    "card revoke": r"^State +revoked$",
}
FOR_A_TOKEN = timedelta(days=14)
# Ada's report has suspended her card, and another address waits only once it was given.
LAST = ("edit", "verify-email", "delete", "resume", "suspend", "remove", "close", "revoke")


@dataclass(frozen=True, slots=True)
class Town:
    """Where the keystore is, and what the words in capitals mean there."""

    folder: Path
    meant: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Played:
    """A block of the guide, and what came of its command."""

    block: Block
    typed: str
    status: int
    seen: str


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A keystore, its operator, and Ada, whose card is in use and who has reported a request."""
    folder = tmp_path_factory.mktemp("guide")
    with serving(MailServer()) as mail, Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery, options_to(mail))
        said = play(folder, BEGUN[1])
        [token] = re.findall(r"cc1\.\S+", said)
        phone = spending.enrol(token, folder / "phone", "authenticator", "Ada's phone")
        [serial] = re.findall(
            r"\d{16}", play(folder, "cloudcard ra card issue ada@example.org --profile p256")
        )
        pc = keystore.workstation("PC")
        with identity.channel(phone) as own, identity.channel(pc) as theirs:
            holder = Phone(phone, own)
            holder.set_passcode(serial, "135790")
            stub = workstation_pb2_grpc.WorkstationServiceStub(theirs)
            operation = Workstation(stub, serial).create(os.urandom(16))
            holder.not_me(holder.find(operation.id))
        (folder / "people.csv").write_text(play(folder, "cloudcard ra import --sample"))
        [alert] = json.loads(play(folder, "cloudcard ra alerts list --json"))
        yield Town(folder, {**WORDS, "CARD": serial, "ALERT": alert["id"]})


def play(folder: Path, line: str) -> str:
    """What a command says at 80 columns. It must succeed."""
    own = {"CLOUDCARD_HOME": str(folder), "COLUMNS": "80"}
    _, *words = shlex.split(line)
    done = warm_starts.run(*words, environment=own, folder=folder)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def filled(command: str, meant: Mapping[str, str]) -> str:
    """A command as a person types it."""
    for word, value in meant.items():
        command = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", shlex.quote(value), command)
    verb = verb_of(command)
    name = "St Elsewhere" if "--organisation" in command else "Charles"
    command = re.sub(r"\bNAME\b", shlex.quote(name), command)
    return f"{command} --yes" if verb in IRREVERSIBLE else command


def verb_of(command: str) -> str:
    """What a command does to what it is about; empty for a report."""
    return "".join(command.split()[3:4])


def place(command: str) -> int:
    """Commands that end something come behind the others."""
    verb = verb_of(command)
    return LAST.index(verb) if verb in LAST else -1


def test_every_row_has_commands() -> None:
    assert len(ROWS) > 20
    assert all("`" in said for _, said in ROWS)
    assert len(COMMANDS) > len(ROWS)


@pytest.fixture(scope="module")
def played(town: Town) -> list[Played]:
    """The guide's blocks at 80 columns, which come before the commands that end things."""
    played = []
    serial = ""
    for block in run_by("ra.md", __file__):
        [command] = block.commands
        typed = command.replace("SERIAL", serial)
        _, *words = shlex.split(typed, comments=True)
        status, seen = show(
            *words,
            folder=town.folder,
            environment={"CLOUDCARD_HOME": str(town.folder)},
            answers={r"Go on\? \[y/N\]: ": "y", r"Which one\? \[none\]: ": ""},
        )
        played.append(Played(block, typed, status, seen))
        if "issue" in words:
            serial = seen.split()[1]
    return played


def test_what_the_guide_shows_in_80_columns(played: list[Played]) -> None:
    assert len(played) > 5
    for each in played:
        block = each.block
        assert block.shown
        assert shows(block.shown, each.seen), f"{each.typed}\n{each.seen}"
        assert each.status == ("Error: " in block.shown)


@pytest.mark.usefixtures("played")
def test_each_command_does_what_the_guide_says(town: Town) -> None:
    for command in sorted(COMMANDS, key=place):
        if command in BEGUN:
            continue
        said = play(town.folder, filled(command, town.meant))
        noun_and_verb = " ".join(command.split()[2:4])
        assert re.search(SAYS[noun_and_verb], said, re.MULTILINE), f"{command}\n{said}"
        if expires := re.search(r"^Token expires +(\S+)$", said, re.MULTILINE):
            left = datetime.fromisoformat(expires[1]) - datetime.now(UTC)
            assert FOR_A_TOKEN - timedelta(minutes=1) < left < FOR_A_TOKEN
        if "FOLDER" in command:
            assert "Written   certificates/9A.pem" in said
            assert (town.folder / "certificates" / "ca.pem").exists()
    assert list((town.folder / "certificates").iterdir())
    cards = json.loads(play(town.folder, "cloudcard ra card list --json"))
    states = {card["serial"]: card["state"] for card in cards}
    assert states[town.meant["CARD"]] == "revoked"
    listed = json.loads(play(town.folder, "cloudcard ra workstation list --json"))
    assert {each["name"]: each["state"] for each in listed}["WARD7-PC3"] == "removed"
