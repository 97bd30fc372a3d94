"""The demo's processes and people: a keystore, two readers, a phone, and Ada, the cards' holder."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

import click

from cloud_keystore.model.operations import QUIET_TIME
from cloudcard_tools.demo import deciding
from cloudcard_tools.demo.programs import Cloudcard, Ended
from cloudcard_tools.demo.timeline import INDENT, Declined, StepFailed, wrapped
from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import Child, Json, Nursery, ProcessFailed
from reader_bridge.prompts.qr import qr_code

T = TypeVar("T")

PASSCODE = "246813"
VPCD_PORT = 35963
# Below those that the kernel gives: Linux begins at 32768. A keystore's further processes show
# health and metrics on the ports that follow, which are for nobody else.
PORTS = range(12_000, 32_000, 8)
BLOCK = 50  # of these ports, which a process claims at once
LOOPBACK = "127.0.0.1"
INSERTED_OR_WHY_NOT = ("inserted", "refused", "port_busy", "pcscd_not_running")  # events of readers
PROMPT_SECONDS = 30.0
TICK_SECONDS = 0.2  # between two looks whether the application still runs
SCANNED = {deciding.SCAN: "--yes", deciding.DENY: "--deny", deciding.NOT_ME: "--not-me"}


@dataclass(slots=True)
class Stage:
    """Starts the parts, and plays Ada, who reads screens and types on her phone."""

    folder: Path
    nursery: Nursery
    interactive: bool
    ask: Cloudcard = field(init=False)
    user_id: str = ""
    rings: int = 0
    application: Future[object] | None = None  # the one that waits for Ada
    declined: float = -math.inf  # when Ada last did, by the monotonic clock in seconds

    def __post_init__(self) -> None:
        self.ask = Cloudcard(self.folder / "home")

    def start_keystore(self) -> None:
        """Start the keystore and enrol its first operator."""
        service, enrolment = free_ports(2)
        keystore = self._start(
            "keystore",
            "serve",
            "--listen",
            f"127.0.0.1:{service}",
            "--enrol-listen",
            f"127.0.0.1:{enrolment}",
        )
        keystore.wait_for("Keystore ready", timeout=60)
        token = self.ask.home / "keystore" / "operator.token"
        self.ask("ra", "enrol", "--token-file", str(token))

    def meet_ada(self) -> None:
        """Let the RA add Ada and the workstation, and enrol phone and reader by one-time tokens."""
        ada = self.ask.json("ra", "user", "add", "Ada Byron", "--email", "ada@example.org")
        self.user_id = ada["id"]
        self.ask("authenticator", "enrol", "-", "--name", "Ada's phone", stdin=ada["token"])
        pc = self.ask.json("ra", "workstation", "add", "WARD7-PC3", "--site", "Ward 7")
        self.ask("reader", "enrol", "-", stdin=pc["token"])

    def issue(self, profile: str) -> str:
        """Let the RA issue a card, and Ada choose its passcode on her phone. Returns the serial
        number.
        """
        serial = self.ask.json("ra", "card", "issue", self.user_id, "--profile", profile)["serial"]
        self.ask("authenticator", "passcode", serial, "--passcode-stdin", stdin=PASSCODE)
        self.ask("ra", "card", "show", serial, "--export", str(self.certificates(serial)))
        return serial

    def certificates(self, serial: str) -> Path:
        """The folder with a card's certificates: 9A.pem, 9C.pem, 9D.pem, ca.pem."""
        return self.folder / serial

    def start_phone(self) -> None:
        """Start the authenticator on Ada's phone."""
        self._start("phone", "authenticator", "watch", "--json").wait_for_json(event="watching")

    def insert(self, slot: int, serial: str, approval: str, *more: str) -> None:
        """Put a card into a virtual reader's slot, with more options of the reader."""
        reader = self.start_reader(f"reader-{slot}", serial, VPCD_PORT + slot, approval, *more)
        said = reader.wait_for(rf'"event": "({"|".join(INSERTED_OR_WHY_NOT)})"', timeout=60)
        if said[1] != INSERTED_OR_WHY_NOT[0]:
            raise StepFailed(f"the reader says {said.string}")
        wait_for_card(slot)

    def start_reader(self, name: str, serial: str, port: int, approval: str, *more: str) -> Child:
        """Start a reader for one card at one port of vpcd."""
        return self._start(
            name,
            *("reader", "--card", serial, "--port", str(port)),
            *("--approval", approval, "--program", "pkcs11-tool", "--json", *more),
        )

    def while_deciding(self, decide: Callable[[], None], application: Callable[[], T]) -> T:
        """Run an application that waits for Ada, and let her decide meanwhile.

        The application runs in a second thread: a process that `decide` starts must outlive it.
        """
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(application)
            self.application = cast("Future[object]", running)
            try:
                decide()
            except Declined as decision:
                self.declined = time.monotonic()
                said = f"{decision.format_message()} {_end_of(running)}"
                raise Declined(said, decision.outcome) from None
            except click.ClickException as failure:
                raise self._with_words(failure, running) from None
            finally:
                self.application = None
            return running.result()

    def _with_words(self, failure: click.ClickException, running: Future[T]) -> StepFailed:
        """What went wrong for Ada, with the application's output."""
        problem = running.exception()
        result = None if problem else running.result()
        if isinstance(problem, StepFailed):
            words = problem.format_message()
        elif isinstance(result, Ended) and result.code != 0:
            words = f"it ended with {result.code}: {result.errors.strip()}"
        else:
            words = "it ended well"
        return StepFailed(f"{failure.format_message()}; the application: {words}")

    def leave_in_peace(self) -> None:
        """Wait until Ada may be asked again for a key that she has just refused: until then the
        keystore refuses it by itself.
        """
        time.sleep(max(0.0, self.declined + QUIET_TIME.total_seconds() - time.monotonic()))

    def approve_push(self, slot: int = 0) -> None:
        """Read the number at the workstation and type it on the phone."""
        prompt = self.prompt(slot)
        self._show(self.ringing(prompt))
        self.type_number(prompt)

    def type_number(self, prompt: dict[str, Json]) -> None:
        """Type the number of a prompt on the phone. Raises StepFailed unless that approves."""
        number = str(prompt["number"])
        typed = deciding.ask_number(number) if self.interactive else number
        decided = self._decide(prompt, typed)
        if decided.get("state") != "approved":
            said = f"Your phone says: {decided.get('text')}"
            raise Declined(said) if self.interactive else StepFailed(said)

    def deny(self) -> None:
        """Deny the request on the phone."""
        prompt = self.prompt(0)
        self._show(self.ringing(prompt))
        number = str(prompt["number"])
        typed = deciding.ask_to_deny(number) if self.interactive else deciding.DENY
        decided = self._decide(prompt, typed)
        if decided.get("state") != "denied":
            said = f"Your phone says: {decided.get('text')}"
            raise Declined(said, "signed") if self.interactive else StepFailed(said)

    def approve_qr(self, slot: int = 1) -> None:
        """Scan the QR code at the workstation with the phone."""
        prompt = self.prompt(slot)
        drawn = qr_code(str(prompt["qr"]))
        picture = self.folder / "screen.png"
        drawn.save(str(picture), scale=5)
        scan = ("authenticator", "scan", str(picture))
        if not self.interactive:
            self.ask(*scan, "--yes")
            return
        drawn.terminal(compact=True)
        typed = deciding.ask_scan()
        try:
            self.ask(*scan, SCANNED[typed])
            if typed == deciding.NOT_ME:
                self._resume(str(prompt["card"]))
        except StepFailed as failure:
            raise Declined(failure.format_message()) from None
        if typed == deciding.DENY:
            raise Declined("Your phone says: Denied.")
        if typed == deciding.NOT_ME:
            raise Declined("Your phone says: Denied, and reported.")

    def count_rings(self) -> int:
        """How often the phone has rung since the last call."""
        more = [line for line in self.nursery["phone"].unread() if '"event": "request"' in line]
        rings, self.rings = self.rings + len(more), 0
        return rings

    def prompt(self, slot: int) -> dict[str, Json]:
        """What the workstation shows for a slot: number, QR code, expiry. Raises StepFailed as soon
        as nothing can come any more.
        """
        reader = self.nursery[f"reader-{slot}"]
        deadline = time.monotonic() + PROMPT_SECONDS
        while True:
            ended = self.application is not None and self.application.done()
            try:
                return reader.wait_for_json(event="approval", timeout=TICK_SECONDS)
            except ProcessFailed:
                if ended:
                    raise StepFailed("the application ended before anything was asked") from None
                if reader.returncode is not None or time.monotonic() > deadline:
                    raise

    def ringing(self, prompt: dict[str, Json]) -> dict[str, Json]:
        """Wait until the phone rings for what a workstation shows, and return what the phone
        shows. It may still show an earlier request, which was approved by its QR code.
        """
        request = self._phone_says("request", prompt)
        self.rings += 1
        return request

    def _decide(self, prompt: dict[str, Json], typed: str) -> dict[str, Json]:
        """Type a decision on the phone, and return what the phone says."""
        self.nursery["phone"].send(typed)
        decided = self._phone_says("decided", prompt)
        if typed == deciding.NOT_ME:
            self._resume(str(prompt["card"]))
        return decided

    def _phone_says(self, event: str, prompt: dict[str, Json]) -> dict[str, Json]:
        phone = self.nursery["phone"]
        return phone.wait_for_json(event=event, operation=prompt["operation"])

    def _resume(self, serial: str) -> None:
        """Let the RA put a card back in use that its holder has reported, so that the demo can go
        on.
        """
        self.ask("ra", "card", "resume", serial)
        self.ask("ra", "alerts", "acknowledge", serial)
        click.echo(wrapped("The card was suspended; the RA has resumed it.", INDENT))

    def _show(self, request: dict[str, Json]) -> None:
        text = (
            f"phone: {request['key_use']} with the {request['key']}, asked by "
            f"{request['application']} at {request['workstation']}, {request['site']}"
        )
        click.echo(click.style(wrapped(text, INDENT), dim=True))

    def _start(self, name: str, *arguments: str) -> Child:
        return self.nursery.start_python(
            name, "-m", "cloudcard_tools", *arguments, CLOUDCARD_HOME=str(self.ask.home)
        )


def _end_of(running: Future[T]) -> str:
    """What an application made of a decision, in its own words."""
    problem = running.exception()
    if not isinstance(problem, StepFailed):
        return "The application has got what it asked for."
    lines = problem.format_message().strip().splitlines()
    told = next((line for line in lines if "CKR_" in line), lines[-1])
    return f"The application says: {told.strip()}"


def wait_for_card(slot: int) -> None:
    """Wait until applications see the card too: the reader knows only that vpcd does, which pcscd
    asks now and then.
    """
    with pcsc.connect(slot, timeout=PROMPT_SECONDS):
        pass


@dataclass(slots=True)
class Ports:
    """The ports of this process. A block of them belongs to the process that has bound a UDP socket
    to its first number: a listener may take seconds until it binds its port, or may be started
    again, and nobody else must find the port free meanwhile.
    """

    own: list[int] = field(default_factory=list)
    place: int = 0  # of the next one among them

    def free(self, count: int) -> list[int]:
        """So many on which nobody listens now, or fewer. They go round, and another block is
        claimed only when a whole round has not had so many.
        """
        found, left = list[int](), len(self.own)
        while len(found) < count:
            if not left:
                more = self._claimed()
                if not more:
                    break
                self.place, left = len(self.own), len(more)
                self.own += more
            port = self.own[self.place]
            self.place, left = (self.place + 1) % len(self.own), left - 1
            if _is_free(port):
                found.append(port)
        return found

    def _claimed(self) -> Sequence[int]:
        """A block that nobody has; empty if there is none."""
        for start in range(0, len(PORTS), BLOCK):
            block = PORTS[start : start + BLOCK]
            claim = socket.socket(type=socket.SOCK_DGRAM)
            try:
                claim.bind((LOOPBACK, block[0]))
            except OSError:
                claim.close()
                continue
            claim.detach()  # it stays bound until this process ends
            return block
        return ()


def free_ports(count: int) -> list[int]:
    """TCP ports of the loopback address on which nobody listens now. No other process is given them
    while this one lives, and the kernel gives none of them to whoever does not care. Raises
    StepFailed if there are fewer.
    """
    found = _own_ports().free(count)
    if len(found) < count:
        raise StepFailed(
            f"{count} free ports are needed from {PORTS.start} to {PORTS.stop}, and {len(found)} "
            f"are left at {LOOPBACK}: end programs that use the others"
        )
    return found


@cache
def _own_ports() -> Ports:
    return Ports()


def _is_free(port: int) -> bool:
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return False
    return True
