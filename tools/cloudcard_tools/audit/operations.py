"""Requests, decisions and uses of keys, each of which rests on entries before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.operations import USE_TIME
from cloud_keystore.model.passcodes import PROOF_TIME
from cloudcard.approval.v1 import approval_pb2
from cloudcard_tools.audit import evidence
from cloudcard_tools.audit.cards import Cards
from cloudcard_tools.audit.enrolments import Enrolments
from cloudcard_tools.audit.grounds import Ground, Wrong, is_later

PASSCODE = "passcode"  # a factor
# Uses that can still be told to have failed, which is at most a minute later. A whole history does
# not fit into memory.
MOST_REMEMBERED = 500_000
NO_APPROVAL = "a key was used without an approval, or twice for one"


@dataclass
class Counts:
    """What was checked. `uses` counts inputs, those of failed and unsettled uses too."""

    approved: int = 0
    refused: int = 0
    sessions: int = 0
    uses: int = 0
    failed: int = 0  # nobody has a result
    unsettled: int = 0  # nobody knows whether somebody has a result


@dataclass(slots=True)
class Request:
    """A request that has not ended."""

    raw: bytes  # the payload
    shown: approval_pb2.Payload
    claimed_by: str | None = None
    device_id: str | None = None  # which approved it
    approve_time: datetime | None = None


@dataclass(slots=True)
class Session:
    """An open session."""

    opened: Entry
    shown: approval_pb2.Payload
    end: datetime
    left: int


@dataclass
class Operations:
    """Everything that was asked, decided and used, as the entries up to now tell."""

    ground: Ground
    enrolments: Enrolments
    cards: Cards
    counts: Counts = field(default_factory=Counts)
    _requests: dict[str, Request] = field(default_factory=dict)
    _sessions: dict[str, Session] = field(default_factory=dict)
    _passcodes: dict[tuple[str | None, str | None], datetime] = field(default_factory=dict)
    _used: dict[str, int] = field(default_factory=dict)  # inputs of uses that have not failed
    _known: dict[str, None] = field(default_factory=dict)  # requests and uses

    def passcode(self, entry: Entry) -> None:
        """A passcode was right."""
        self._passcodes[entry.card_id, entry.workstation_id] = entry.time

    def ask(self, entry: Entry) -> None:
        self._is_new(entry, "an operation was asked for twice")
        shown = evidence.payload(entry)
        evidence.check_terms(entry, shown)
        made, _ = evidence.instants(shown)
        if is_later(made, entry.time) or is_later(entry.time, made):
            raise Wrong("the request was made at another time")
        self._check_place(entry, shown)
        if PASSCODE in shown.factors:
            given = self._passcodes.get((entry.card_id, entry.workstation_id))
            if given is None or is_later(entry.time, given + PROOF_TIME):
                self.ground.lacks("the passcode was not given, or too long before")
        self._requests[entry.operation_id or ""] = Request(entry.evidence["payload"], shown)

    def claim(self, entry: Entry) -> None:
        if (request := self._requests.get(entry.operation_id or "")) is None:
            self.ground.lacks("a request was claimed that does not wait")
        else:
            request.claimed_by = entry.device_id

    def decide(self, entry: Entry) -> None:
        """Check a decision; only an approval is remembered."""
        shown = self._signed_by_holder(entry)
        made, end = evidence.instants(shown)
        if is_later(entry.time, end) or is_later(made, entry.time):
            raise Wrong("it was decided when the request did not wait")
        request = self._requests.pop(entry.operation_id or "", None)
        if request is None:
            self.ground.lacks("a decision about a request that was not made, or does not wait")
            request = Request(entry.evidence["payload"], shown, entry.device_id)
        if request.raw != entry.evidence["payload"]:
            raise Wrong("the device signed another request than the one that was made")
        if request.approve_time is not None:
            raise Wrong("a request was decided twice")
        if entry.kind is not Kind.OPERATION_APPROVED:
            self.counts.refused += 1
            return
        if entry.details.get("number"):
            evidence.check_number(entry, shown, self.ground)
        elif request.claimed_by != entry.device_id:
            raise Wrong("approved without a number, and without a code that was scanned")
        request.device_id, request.approve_time = entry.device_id, entry.time
        self._requests[entry.operation_id or ""] = request
        self.counts.approved += 1

    def _signed_by_holder(self, entry: Entry) -> approval_pb2.Payload:
        """The payload of a decision, which a device of its holder has signed."""
        device = self.enrolments.device(entry.device_id)
        evidence.check_decision(entry, None if device is None else device.key)
        shown = evidence.payload(entry)
        if device is not None and device.user_id != shown.user_id:
            raise Wrong("the device that signed it is not the holder's")
        return shown

    def decide_sign_in(self, entry: Entry) -> None:
        """Check a decision about a sign-in. An approval by a number shows the right one; one
        without was by a code, which the entry before it tells.
        """
        shown = self._signed_by_holder(entry)
        if not shown.HasField("sign_in"):
            raise Wrong("the device signed something else than a sign-in")
        made, end = evidence.instants(shown)
        if is_later(entry.time, end) or is_later(made, entry.time):
            raise Wrong("it was decided when the sign-in did not wait")
        if entry.kind is Kind.SIGN_IN_APPROVED and entry.details.get("number"):
            evidence.check_number(entry, shown, self.ground)

    def use(self, entry: Entry) -> None:
        """Spend an approval, for uses of a key or for a session."""
        request = self._requests.get(entry.operation_id or "")
        if request is None or request.approve_time is None or request.device_id is None:
            self.ground.lacks(NO_APPROVAL)
            request = Request(entry.evidence.get("payload", b""), evidence.payload(entry))
        self._requests.pop(entry.operation_id or "", None)
        if entry.evidence.get("payload") != request.raw:
            raise Wrong("the key was used for another request than the approved one")
        shown = evidence.payload(entry)
        opens = entry.kind is Kind.SESSION_OPENED
        if opens is not shown.HasField("session"):
            raise Wrong("the approval was for something else: a session is no use of a key")
        if entry.device_id != (request.device_id or entry.device_id):
            raise Wrong("another device had approved it")
        self.enrolments.check_there(entry.device_id, "the device that approved it had been removed")
        approved = request.approve_time or entry.time
        if is_later(entry.time, approved + USE_TIME):
            raise Wrong("the approval had expired")
        self._check_place(entry, shown)
        if opens:
            end = approved + timedelta(seconds=shown.session.seconds)
            self._sessions[shown.operation_id] = Session(entry, shown, end, shown.session.most_uses)
            self.counts.sessions += 1
        else:
            self._count(entry, len(shown.input_sha256))
        evidence.check_terms(entry, shown)

    def use_session(self, entry: Entry) -> None:
        self._is_new(entry, "a use of a session is told twice")
        inputs = _number(entry, "inputs")
        session = self._sessions.get(str(entry.details.get("session")))
        if session is None:
            self.ground.lacks("a session that is not open was used")
        else:
            self._check_session(entry, session, inputs)
            session.left -= inputs
        self._count(entry, inputs)

    def end_session(self, entry: Entry) -> None:
        session = self._sessions.pop(entry.operation_id or "", None)
        if session is None:
            self.ground.lacks("a session ended that is not open")
        elif _number(entry, "uses_left") != session.left:
            self.ground.lacks("the session was used more or less often than the entries tell")

    def end(self, entry: Entry) -> None:
        """A request expired or was withdrawn."""
        if self._requests.pop(entry.operation_id or "", None) is None:
            self.ground.lacks("a request ended that does not wait")

    def fail(self, entry: Entry) -> None:
        """A use is told to have given no result, or perhaps none."""
        inputs = self._used.pop(entry.operation_id or "", None)
        if inputs is None:
            self.ground.lacks("a use is told to have failed that was not made, or twice")
            return
        # Before there were unsettled uses, what the keystore found of a session was called failed.
        found = "session" in entry.details and entry.actor == KEYSTORE
        if entry.kind is Kind.OPERATION_UNSETTLED or found:
            self.counts.unsettled += inputs
        else:
            self.counts.failed += inputs

    def _check_session(self, entry: Entry, session: Session, inputs: int) -> None:
        opened = session.opened
        for name in ("card_id", "user_id", "workstation_id", "key_id"):
            if getattr(entry, name) != getattr(opened, name):
                raise Wrong("a session was used for another key, card or workstation")
        if entry.details.get("policy") not in (None, session.shown.policy):
            raise Wrong("the entry tells of other terms than the device was shown: policy")
        if is_later(entry.time, session.end):
            raise Wrong("a session was used after its time")
        self.enrolments.check_there(
            opened.device_id, "the device that approved the session had been removed"
        )
        self._check_place(entry, session.shown)
        if not 1 <= inputs <= session.left:
            raise Wrong("a session was used more often than approved")

    def _check_place(self, entry: Entry, shown: approval_pb2.Payload) -> None:
        self.enrolments.check_workstation(entry, shown.workstation.certificate_sha256)
        self.cards.check_use(entry, shown)

    def _is_new(self, entry: Entry, wrong: str) -> None:
        """Raise Wrong if a request or use is told again; one of long ago would have other times."""
        name = entry.operation_id or ""
        if name in self._known:
            raise Wrong(wrong)
        self._known[name] = None
        _forget(self._known)

    def _count(self, entry: Entry, inputs: int) -> None:
        self.counts.uses += inputs
        self._used[entry.operation_id or ""] = inputs
        _forget(self._used)


def _forget(remembered: dict[str, int] | dict[str, None]) -> None:
    if len(remembered) > MOST_REMEMBERED:
        del remembered[next(iter(remembered))]


def _number(entry: Entry, name: str) -> int:
    value = entry.details.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
