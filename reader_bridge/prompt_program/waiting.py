"""The operations that wait, and what a window shows of them. Pure: the toolkits draw it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reader_bridge.prompt_program import texts
from reader_bridge.prompt_program.lines import Approval

SAID_SECONDS = 6.0  # how long an end that the holder did not see on the phone is shown
UNSAID = frozenset({"approved", "cancelled"})  # the holder knows, and the window goes at once


@dataclass(frozen=True, slots=True)
class View:
    """What the window shows now."""

    operation: str
    number: str
    qr_modules: tuple[str, ...]
    qr_label: str  # above the code, or in its place
    rows: tuple[tuple[str, str], ...]  # labels and values
    check_code: str  # empty for a sign-in
    left: float  # seconds
    whole: float  # seconds, when it was first shown
    which: int  # counted from 1
    count: int
    said: str  # how it has ended; empty while it waits

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """The rows, and the check code last, if there is one."""
        code = ((texts.CHECK_CODE, self.check_code),) if self.check_code else ()
        return (*self.rows, *code)


@dataclass(slots=True)
class _Entry:
    approval: Approval
    shown_at: float
    said: str = ""
    gone_at: float = 0.0


class Waiting:
    """Operations in the order in which they came, one of them in view."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._in_view = ""

    def add(self, approval: Approval, now: float) -> None:
        """An operation waits; it comes into view if nothing else waits."""
        self._entries[approval.operation] = _Entry(approval, now)
        shown = self._entries.get(self._in_view)
        if shown is None or shown.said:
            self._in_view = approval.operation

    def end(self, operation: str, outcome: str, now: float) -> None:
        """An operation has ended. What the holder may not know stays for a moment."""
        entry = self._entries.get(operation)
        if entry is None:
            return
        others = any(not each.said for each in self._entries.values() if each is not entry)
        if outcome in UNSAID or others:
            self.forget(operation)
            return
        entry.said = texts.OUTCOMES.get(outcome, outcome)
        entry.gone_at = now + SAID_SECONDS

    def forget(self, operation: str) -> None:
        """Take an operation out of the window."""
        self._entries.pop(operation, None)
        if operation == self._in_view:
            self._in_view = next(iter(self._entries), "")

    def press(self, view: View, cancel: Callable[[str], None]) -> None:
        """The button below was pressed: what has ended goes, what waits is cancelled."""
        if view.said:
            self.forget(view.operation)
        else:
            cancel(view.operation)

    def turn(self, steps: int) -> None:
        """Bring another operation into view."""
        order = list(self._entries)
        if order:
            self._in_view = order[(order.index(self._in_view) + steps) % len(order)]

    def view(self, now: float) -> View | None:
        """What to show; None if the window has to go."""
        for operation, each in list(self._entries.items()):
            if each.said and now >= each.gone_at:
                self.forget(operation)
        entry = self._entries.get(self._in_view)
        if entry is None:
            return None
        asked, passed = entry.approval, now - entry.shown_at
        modules, label = _code(asked, passed)
        order = list(self._entries)
        return View(
            operation=asked.operation,
            number=asked.number,
            qr_modules=modules,
            qr_label=label,
            rows=_rows(asked),
            check_code=asked.check_code,
            left=max(0.0, asked.seconds - passed),
            whole=asked.seconds,
            which=order.index(self._in_view) + 1,
            count=len(order),
            said=entry.said,
        )


def _code(asked: Approval, passed: float) -> tuple[tuple[str, ...], str]:
    """The QR code and the words above it; when it has expired, what to do instead."""
    if not asked.qr_modules:
        return (), ""
    if passed >= asked.qr_seconds:
        return (), texts.CODE_OVER if asked.number else texts.CODE_OVER_ALONE
    return asked.qr_modules, texts.OR_SCAN if asked.number else texts.SCAN


def _rows(asked: Approval) -> tuple[tuple[str, str], ...]:
    purpose = texts.purpose(
        asked.key, asked.use, asked.inputs, asked.session_uses, asked.session_seconds
    )
    if asked.use == texts.SIGN_IN:
        return (texts.PURPOSE, purpose), (texts.WORKSTATION, asked.workstation)
    return (
        (texts.PURPOSE, purpose),
        (texts.PROGRAM, asked.program or texts.UNKNOWN_PROGRAM),
        (texts.WORKSTATION, asked.workstation),
        (texts.CARD, asked.card),
    )
