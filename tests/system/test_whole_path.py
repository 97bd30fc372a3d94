"""The whole path of a registration authority, from a file of people to a card that is revoked, with
the parts that people have: commands, a mail server, phones, pcscd, OpenSC, OpenSSL and curl. On
SQLite and on PostgreSQL.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from cloudcard_tools.demo.programs import Ended, Pkcs11, openssl
from cloudcard_tools.demo.stage import PASSCODE, Stage, wait_for_card
from cloudcard_tools.demo.timeline import StepFailed
from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import Json, Nursery
from support.mail_server import MailServer, serving
from support.office import Office, enrolled, invite_of
from support.polling import until
from support.postgres import Server
from support.relying_party import GOOD, RelyingParty

PROFILES = ("v2", "p256", "p256")  # of the cards of the first people
PEOPLE, ENROL = 200, len(PROFILES)
MECHANISMS = {"v2": "SHA256-RSA-PKCS", "p256": "ECDSA-SHA256"}
COLUMNS = ("name", "email")
INVITATION = "Enrol your phone"
SECONDS = 240.0  # for all letters, on a busy computer
LATER = 680  # days, of the 730 that a card lasts: it can be renewed then
WRONG_PASSCODE = "000000"
SIGNATURE_KEY = "02"  # OpenSC's number of key 9C
BOTH_GOOD = (GOOD, GOOD)
HOLD = ("certificateHold", "Certificate Hold")
SUPERSEDED = ("superseded", "Superseded")
COMPROMISED = ("keyCompromise", "Key Compromise")


@dataclass
class Holder:
    """Somebody with a phone and a card at a workstation."""

    name: str
    stage: Stage
    serial: str
    mechanism: str
    signatures: int = field(default=0)

    def get_workstation(self, office: Office) -> None:
        """Enrol a workstation by its token."""
        added = office.ra("workstation", "add", f"PC of {self.name}")
        self.stage.ask("reader", "enrol", "-", stdin=str(added["token"]))

    def sit_down(self) -> None:
        """Put the card into the reader of the workstation, with the phone at hand."""
        self.stage.start_phone()
        self.stage.insert(0, self.serial, "push")

    def insert_again(self) -> None:
        """Take the card out of the reader, and put it in again."""
        self.stage.nursery.restart("reader-0").wait_for_json(event="inserted", timeout=60)
        wait_for_card(0)

    def choose_passcode(self) -> None:
        said = self.stage.ask.json(
            "authenticator", "passcode", self.serial, "--passcode-stdin", stdin=PASSCODE
        )
        assert said["serial"] == self.serial

    def stand_up(self, readers: pcsc.Client) -> None:
        """Take the card out of the reader."""
        self.stage.nursery.stop("reader-0")
        readers.wait_for_absence(0)

    def sign(self, certificates: Path) -> None:
        """Sign with OpenSC, and approve on the phone; OpenSSL verifies by the certificate."""
        self.signatures += 1
        folder, application = self.stage.folder, Pkcs11(0, PASSCODE)
        document, signature = folder / "document", folder / f"signature-{self.signatures}"
        document.write_text(f"Signature {self.signatures} of {self.name}\n")
        self.stage.while_deciding(
            self.stage.approve_push,
            lambda: application.sign(SIGNATURE_KEY, self.mechanism, document, signature),
        )
        public = folder / "public.pem"
        public.write_text(openssl("x509", "-in", certificates / "9C.pem", "-noout", "-pubkey"))
        said = openssl("dgst", "-sha256", "-verify", public, "-signature", signature, document)
        assert said == "Verified OK\n"

    def try_to_sign(self) -> Ended:
        """How the application ends that signs, without an approval."""
        folder, application = self.stage.folder, Pkcs11(0, PASSCODE)
        document, signature = folder / "document", folder / "no-signature"
        return application.attempt(
            *application.signing(SIGNATURE_KEY, self.mechanism, document, signature)
        )

    def log_in(self, passcode: str) -> Ended:
        """How an application ends that gives a passcode."""
        return Pkcs11(0, passcode).attempt("--login", "--pin", passcode, "--list-objects")


@pytest.fixture(params=["sqlite", "postgresql"])
def office(request: pytest.FixtureRequest, tmp_path: Path, servers: Nursery) -> Iterator[Office]:
    database: tuple[str, ...] = ()
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgresql")
        database = ("--database", server.new_database())
    with serving(MailServer()) as mail:
        yield Office(tmp_path, servers, mail, database)


@pytest.mark.timeout(600)
def test_from_a_file_of_people_to_a_revoked_card(
    office: Office, virtual_readers: pcsc.Client
) -> None:
    """USER-05, USER-06, USER-20, CARD-03, CARD-06, AUTH-10: people are imported and invited, three
    of them enrol and get cards, and almost two years later one card is used until it is revoked.
    """
    office.open()
    invite_all(office)
    with ExitStack() as stack:
        holders = [
            enrol(office, number, stack.enter_context(Nursery(office.folder / f"logs-{number}")))
            for number in range(ENROL)
        ]
        for holder in holders:
            holder.get_workstation(office)
        assert_invited(office)
        office.move_on(LATER)
        invite_again(office)
        for holder in holders[1:]:
            holder.sit_down()
            holder.sign(office.export(holder.serial, holder.name))
            holder.stand_up(virtual_readers)
        live(office, holders[0], virtual_readers)


def invite_all(office: Office) -> None:
    """Import a file with two bad rows, of which nobody is added; correct what is named, and import
    it: everybody is invited.
    """
    cells = [[name(number), address(number)] for number in range(PEOPLE)]
    cells[7][1], cells[150][0] = "nurse.7.example.org", " "
    file = office.folder / "people.csv"
    write(file, cells)
    told = office.refused("import", file)
    assert "rows" in told, told
    assert (told["rows"], told["added"], told["refused"]) == (PEOPLE, 0, 2)
    faults = cast("list[dict[str, Json]]", told["faults"])
    assert [(each["row"], each["column"]) for each in faults] == [(9, "email"), (152, "name")]
    assert all(each["reason"] and each["fix"] for each in faults)
    assert office.listed("user", "list") == []
    assert office.mail.tried == 0

    for row, column in [(int(str(each["row"])) - 2, each["column"]) for each in faults]:
        cells[row][COLUMNS.index(str(column))] = name(row) if column == "name" else address(row)
    write(file, cells)
    told = office.ra("import", file)
    assert (told["added"], told["refused"]) == (PEOPLE, 0)
    assert [each["stage"] for each in office.listed("pending")] == ["invited"] * PEOPLE


def assert_invited(office: Office) -> None:
    """Everybody has got a letter with a link of their own; who has not used it still waits."""
    everybody = {address(each) for each in range(PEOPLE)}
    until(lambda: everybody <= {*office.mail.addresses}, SECONDS)
    letters = [each for each in office.mail.letters if each["Subject"] == INVITATION]
    assert {str(each["To"]) for each in letters} == everybody
    assert len({invite_of(each) for each in letters}) == PEOPLE
    waits = office.listed("pending")
    assert [each["stage"] for each in waits] == ["invited"] * (PEOPLE - ENROL)


def enrol(office: Office, number: int, nursery: Nursery) -> Holder:
    """Somebody enrols a phone by the link in the letter, gets a card, and chooses its passcode."""
    [letter] = office.letters(address(number))
    stage = enrolled(office.folder / f"home-{number}", nursery, name(number), letter)
    profile = PROFILES[number]
    issued = office.ra("card", "issue", address(number), "--profile", profile)
    assert (issued["state"], issued["profile"]) == ("pending", profile)
    holder = Holder(name(number), stage, str(issued["serial"]), MECHANISMS[profile])
    holder.choose_passcode()
    assert office.ra("card", "show", holder.serial)["state"] == "active"
    return holder


def invite_again(office: Office) -> None:
    """The link of before is refused; that of another letter is good."""
    stages = [each["stage"] for each in office.listed("pending")]
    assert stages == ["invitation expired"] * (PEOPLE - ENROL)
    late = Stage(office.folder / "late", office.nursery, interactive=False)
    [letter] = office.letters(address(ENROL))
    with pytest.raises(StepFailed, match="expired"):
        late.ask("authenticator", "enrol", "-", stdin=invite_of(letter))
    office.ra("user", "invite", address(ENROL))
    [*_, letter] = office.letters(address(ENROL), 2)
    late.ask("authenticator", "enrol", "-", stdin=invite_of(letter))


def live(office: Office, holder: Holder, readers: pcsc.Client) -> None:
    """A card in use, locked, unlocked, suspended, renewed, replaced, and its successor revoked.
    Whoever checks it with OpenSSL is told the same by the list and by OCSP, at each step.
    """
    certificates = office.export(holder.serial, "first")
    first = RelyingParty(office.folder, certificates, clock=office.clock)
    first.fetch()
    holder.sit_down()
    assert (first.answered(), first.listed(first.number)) == BOTH_GOOD
    holder.sign(certificates)

    for _ in range(3):
        assert holder.log_in(WRONG_PASSCODE).code != 0
    assert office.ra("card", "show", holder.serial)["passcode"] == "locked"
    assert holder.log_in(PASSCODE).code != 0
    assert (first.answered(), first.listed(first.number)) == BOTH_GOOD
    office.ra("card", "unlock", holder.serial)
    assert holder.log_in(PASSCODE).code != 0
    holder.stage.ask("authenticator", "unlock", holder.serial)
    holder.sign(certificates)

    office.ra("card", "suspend", holder.serial)
    assert changed(first) == HOLD
    assert holder.try_to_sign().code != 0
    office.ra("card", "resume", holder.serial)
    assert changed(first) == BOTH_GOOD
    holder.sign(certificates)

    renewed = office.ra("card", "renew", holder.serial)
    assert (renewed["serial"], renewed["new_keys"]) == (holder.serial, ["9A", "9C", "9D", "9E"])
    assert changed(first) == SUPERSEDED
    certificates = office.export(holder.serial, "second")
    second = RelyingParty(office.folder, certificates, clock=office.clock)
    assert (second.answered(), second.listed(first.number)) == BOTH_GOOD
    holder.insert_again()
    holder.sign(certificates)

    before, replaced = (
        holder.serial,
        office.ra("card", "replace", holder.serial, "--reason", "lost"),
    )
    assert (replaced["replaces"], replaced["state"]) == (before, "pending")
    assert (second.answered(), second.listed(second.number)) == BOTH_GOOD
    holder.serial = str(replaced["serial"])
    holder.choose_passcode()
    assert changed(second) == SUPERSEDED
    assert office.ra("card", "show", before)["state"] == "revoked"
    certificates = office.export(holder.serial, "third")
    third = RelyingParty(office.folder, certificates, clock=office.clock)
    assert (third.answered(), third.listed(second.number)) == BOTH_GOOD
    assert holder.try_to_sign().code != 0
    holder.stand_up(readers)
    holder.stage.insert(0, holder.serial, "push")
    holder.sign(certificates)

    code = ("--code", "key-compromise")
    office.ra("card", "revoke", holder.serial, "--reason", "stolen", *code, "--yes")
    assert changed(third) == COMPROMISED
    assert holder.try_to_sign().code != 0
    holder.stand_up(readers)
    with pytest.raises(StepFailed, match="refused"):
        holder.stage.insert(0, holder.serial, "push")


def changed(party: RelyingParty) -> tuple[str, str]:
    """What is told after a change: by OCSP, and by the next list."""
    return party.answered(), party.listed(party.number + 1)


def name(number: int) -> str:
    return f"Nurse {number}"


def address(number: int) -> str:
    return f"nurse.{number}@example.org"


def write(file: Path, cells: list[list[str]]) -> None:
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([COLUMNS, *cells])
