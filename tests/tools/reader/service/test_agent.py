"""The agent's loop, with a keystore, a slot and a desktop of the test's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import pytest

from card_os.card import Card
from card_os.piv import CardImage
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard_tools.reader.service import agent
from cloudcard_tools.reader.service.agent import Agent
from cloudcard_tools.reader.service.notifying import Notifier
from cloudcard_tools.reader.service.place import Keys, Parts
from cloudcard_tools.reader.service.settings import Settings
from cloudcard_tools.reader.service.state import Here, Status
from cloudcard_tools.shared.failures import Failure
from reader_bridge.carriers.carrier import SlotState
from reader_bridge.desktop.events import Event
from reader_bridge.leaving import Slot, Told
from reader_bridge.prompter import Outcome, Prompt, Withdraw
from reader_bridge.tasks import Cancellation
from support.fakes import sample_image
from support.polling import until

SECONDS = 30.0
SERIAL = "1500000000000011"  # of the first sign-in; that of each ends with the number of its own


class Unreachable(grpc.RpcError, grpc.Call):
    """A keystore that does not answer."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "nobody there"

    def initial_metadata(self) -> tuple[()]:
        return ()

    def trailing_metadata(self) -> tuple[()]:
        return ()

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> None:
        return None

    def cancel(self) -> bool:
        return False

    def add_callback(self, callback: Callable[[], None]) -> bool:
        return False


class SignIns:
    """A keystore of which the test says what it tells."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.tell: dict[str, Callable[[pb.SignIn], None]] = {}
        self.is_there = True

    def begin(self, user: str) -> pb.SignIn:
        if not self.is_there:
            raise Unreachable
        self.begun.append(user)
        return pb.SignIn(id=str(len(self.begun)), qr_text="" if user else "code", number="42")

    def watch(
        self, sign_in_id: str, tell: Callable[[pb.SignIn], None], cancellation: Cancellation
    ) -> None:
        self.tell[sign_in_id] = tell
        cancellation.wait(SECONDS)

    def end(self, sign_in_id: str, cancellation: Cancellation) -> None:
        self.ended.append(sign_in_id)


@dataclass
class Screen:
    """What is shown."""

    shown: list[Prompt] = field(default_factory=list)
    withdraws: list[Withdraw] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def show(self, prompt: Prompt, withdraw: Withdraw) -> None:
        self.shown.append(prompt)
        self.withdraws.append(withdraw)

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@dataclass
class OwnKeys:
    """The keys of a card that the keystore has."""

    image: CardImage
    changes: int = 0

    def get_card(self) -> CardImage:
        return self.image


@dataclass
class InSlot:
    """A card in a slot."""

    number: int
    changed: Callable[[SlotState], None]
    is_in: bool = False

    def start(self) -> None:
        self.is_in = True
        self.changed(SlotState.INSERTED)

    def stop(self) -> None:
        self.is_in = False


@dataclass
class Bench:
    """An agent that runs."""

    agent: Agent
    sign_ins: SignIns
    screen: Screen
    keys: OwnKeys
    slots: list[InSlot]
    now: list[float]
    told: list[tuple[str, Slot]]  # each event, and the state in which it was told

    @property
    def state(self) -> Slot:
        return self.here.state

    @property
    def here(self) -> Here:
        """The first slot."""
        return self.agent.status.slots[0]

    def open(self, sign_in_id: str = "1", slot: int = 0) -> None:
        """The holder approves."""
        until(lambda: sign_in_id in self.sign_ins.tell, SECONDS)
        self.tell(sign_in_id, pb.SIGN_IN_STATE_OPEN)
        here = self.agent.status.slots[slot]
        until(lambda: here.state is Slot.TAKEN and here.reader != "", SECONDS)

    def tell(
        self,
        sign_in_id: str,
        state: pb.SignInState.ValueType,
        version: bytes = b"1",
        reason: str = "",
    ) -> None:
        self.sign_ins.tell[sign_in_id](
            pb.SignIn(
                id=sign_in_id,
                state=state,
                card_serial=SERIAL[: -len(sign_in_id)] + sign_in_id,
                card_version=version,
                reason=reason,
            )
        )

    def all_done(self) -> None:
        """Everything that was told before has been handled."""
        self.agent.desktop(Event.IDLE)

    @property
    def in_slot(self) -> list[bool]:
        return [each.is_in for each in self.slots]

    @property
    def taken(self) -> list[int]:
        """The slots in which there are cards."""
        return [each.number for each in self.slots if each.is_in]


def new_bench(folder: Path, settings: Settings) -> Bench:
    sign_ins, screen, slots, now = SignIns(), Screen(), list[InSlot](), [0.0]
    keys = OwnKeys(sample_image())

    def insert(
        number: int, _card: Card, _keys: Keys, changed: Callable[[SlotState], None]
    ) -> InSlot:
        slots.append(InSlot(number, changed))
        return slots[-1]

    here = tuple(Here(number) for number in range(settings.slots))
    status, told = Status("1", 1, "PC", here), list[tuple[str, Slot]]()

    def say(event: str, _text: str) -> None:
        told.append((event, here[0].state))

    parts = Parts(sign_ins, lambda _: keys, insert, screen, Notifier(), say)
    own = Agent(parts, settings, status, folder / "sign-in", lambda: now[0])
    return Bench(own, sign_ins, screen, keys, slots, now, told)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy this computer is, the card is out when the desktop goes on."""
    monkeypatch.setattr(agent, "OUT_SECONDS", SECONDS)


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    settings = replace(Settings(), **getattr(request, "param", {"ask": False}))
    made = new_bench(tmp_path, settings)
    thread = threading.Thread(target=made.agent.run, daemon=True)
    thread.start()
    yield made
    made.agent.stop()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert not any(made.in_slot)


def test_who_signs_in_has_the_card_and_who_leaves_takes_it(bench: Bench) -> None:
    bench.agent.ask(Told.SIGN_IN)
    assert bench.state is Slot.ASKING
    (shown,) = bench.screen.shown
    assert (shown.qr_text, shown.card_serial, shown.check_code) == ("code", "", "")
    bench.open()
    assert bench.screen.outcomes == [Outcome.APPROVED]
    assert (bench.in_slot, bench.here.card) == ([True], SERIAL)
    assert bench.agent.kept.read_text() == "1"
    assert bench.agent.kept.stat().st_mode & 0o777 == 0o600
    bench.agent.desktop(Event.LOCKED)  # returns when it is out
    assert bench.in_slot == [False]
    until(lambda: bench.sign_ins.ended == ["1"], SECONDS)
    assert (bench.state, bench.agent.kept.read_text()) == (Slot.EMPTY, "")
    # Whoever hears it may ask for the state at once.
    assert bench.told == [("signed_in", Slot.TAKEN), ("signed_out", Slot.EMPTY)]
    bench.tell("1", pb.SIGN_IN_STATE_OPEN)  # that comes too late
    bench.all_done()
    assert bench.in_slot == [False]


@pytest.mark.parametrize("event", [Event.AWAY, Event.SLEEPS, Event.LOGGED_OFF])
def test_each_way_to_leave(bench: Bench, event: Event) -> None:
    bench.agent.ask(Told.SIGN_IN, "ada")
    bench.open()
    bench.agent.desktop(event)
    assert (bench.in_slot, bench.sign_ins.begun) == ([False], ["ada"])


@pytest.mark.parametrize("bench", [{"ask": False, "leave_on": ("sleep",)}], indirect=True)
def test_what_the_configuration_leaves_out_takes_no_card(bench: Bench) -> None:
    bench.agent.ask(Told.SIGN_IN)
    bench.open()
    bench.agent.desktop(Event.LOCKED)
    assert bench.in_slot == [True]
    bench.agent.desktop(Event.LOGGED_OFF)  # always
    assert bench.in_slot == [False]


@pytest.mark.parametrize("bench", [{"ask": False, "idle_minutes": 5}], indirect=True)
def test_a_time_without_use(bench: Bench) -> None:
    bench.agent.ask(Told.SIGN_IN)
    bench.open()
    bench.agent.desktop(Event.IDLE)
    bench.agent.desktop(Event.HERE)
    bench.now[0] = 301.0
    bench.agent.desktop(Event.IDLE)
    assert bench.in_slot == [True]
    bench.now[0] = 602.0
    until(lambda: bench.in_slot == [False], SECONDS)


@pytest.mark.parametrize("bench", [{"ask": True, "user": "ada"}], indirect=True)
def test_it_asks_at_the_start_and_when_somebody_is_back(bench: Bench) -> None:
    until(lambda: bench.state is Slot.ASKING, SECONDS)
    bench.agent.desktop(Event.LOCKED)
    assert (bench.state, bench.screen.outcomes) == (Slot.EMPTY, [Outcome.CANCELLED])
    bench.agent.desktop(Event.HERE)
    bench.agent.desktop(Event.HERE)
    assert bench.sign_ins.begun == ["ada", "ada"]


def test_another_sign_in_takes_the_card_before_out(bench: Bench) -> None:
    bench.agent.ask(Told.SIGN_IN)
    bench.open()
    bench.agent.ask(Told.SIGN_IN)
    assert (bench.in_slot, bench.state) == ([False], Slot.ASKING)
    bench.open("2")
    assert bench.in_slot == [False, True]


SEVERAL = pytest.mark.parametrize("bench", [{"ask": True, "slots": 2}], indirect=True)


@SEVERAL
def test_with_several_slots_a_second_person_signs_in_beside_the_first(bench: Bench) -> None:
    bench.open()
    assert bench.agent.ask(Told.SIGN_IN) == 1
    assert bench.taken == [0]
    bench.open("2", slot=1)
    assert bench.taken == [0, 1]
    first, second = bench.agent.status.slots
    assert (first.card, second.card) == (SERIAL, f"{SERIAL[:-1]}2")
    assert bench.agent.kept.read_text() == "1\n2"
    row = bench.agent.status.as_row(1)
    assert (row["card"], row["slots"]) == (second.card, [first.as_row(), second.as_row()])
    assert first.card in bench.agent.status.sentence()
    assert second.card in bench.agent.status.sentence()
    bench.agent.desktop(Event.LOCKED)
    assert bench.taken == []
    until(lambda: sorted(bench.sign_ins.ended) == ["1", "2"], SECONDS)


@SEVERAL
def test_with_several_slots_each_card_leaves_by_itself(bench: Bench) -> None:
    bench.open()
    bench.agent.ask(Told.SIGN_IN)
    bench.open("2", slot=1)
    bench.tell("1", pb.SIGN_IN_STATE_ENDED, reason="holder")
    bench.all_done()
    assert bench.taken == [1]
    bench.agent.desktop(Event.HERE)  # somebody is signed in: nobody is asked
    assert bench.sign_ins.begun == ["", ""]
    with pytest.raises(Failure, match="none of your readers"):
        bench.agent.ask(Told.SIGN_OUT, card=SERIAL)
    assert bench.agent.ask(Told.SIGN_OUT, card=f"{SERIAL[:-1]}2") == 1
    assert bench.taken == []
    bench.agent.ask(Told.SIGN_IN)
    bench.open("3")
    bench.agent.ask(Told.SIGN_OUT)  # whoever it is
    assert bench.taken == []


@SEVERAL
def test_who_is_one_too_many_takes_the_place_of_whoever_is_asked_or_came_first(
    bench: Bench,
) -> None:
    until(lambda: "1" in bench.sign_ins.tell, SECONDS)
    bench.agent.ask(Told.SIGN_IN)  # nobody has scanned the first code
    until(lambda: bench.sign_ins.ended == ["1"], SECONDS)
    bench.open("2")
    bench.agent.ask(Told.SIGN_IN)
    bench.open("3", slot=1)
    bench.agent.ask(Told.SIGN_OUT, card=f"{SERIAL[:-1]}2")
    bench.agent.ask(Told.SIGN_IN)
    bench.open("4")
    assert bench.taken == [1, 0]
    assert bench.agent.ask(Told.SIGN_IN) == 1
    assert bench.taken == [0]


@SEVERAL
def test_a_cancelled_prompt_is_that_of_its_own_sign_in(bench: Bench) -> None:
    bench.open()
    bench.agent.ask(Told.SIGN_IN)
    bench.screen.withdraws[1]()
    bench.all_done()
    assert [each.state for each in bench.agent.status.slots] == [Slot.TAKEN, Slot.EMPTY]
    bench.screen.withdraws[0]()  # just when its holder had approved
    bench.all_done()
    assert bench.taken == []


@pytest.mark.parametrize(
    ("reason", "said"), [("holder", "on the phone"), ("card", "suspended"), ("replaced", "another")]
)
def test_what_the_keystore_tells_takes_it_out(bench: Bench, reason: str, said: str) -> None:
    bench.agent.ask(Told.SIGN_IN)
    bench.open()
    bench.tell("1", pb.SIGN_IN_STATE_ENDED, reason=reason)
    until(lambda: bench.state is Slot.EMPTY, SECONDS)
    assert bench.in_slot == [False]
    assert bench.sign_ins.ended == []  # the keystore knows
    assert said in bench.agent.status.said


def test_a_changed_card_is_fetched_again_but_not_for_what_it_shows_already(bench: Bench) -> None:
    bench.agent.ask(Told.SIGN_IN)
    bench.open()
    bench.keys.changes += 1  # by its administrator, through this reader
    bench.tell("1", pb.SIGN_IN_STATE_OPEN, b"2")
    bench.all_done()
    assert bench.in_slot == [True]
    bench.tell("1", pb.SIGN_IN_STATE_OPEN, b"2")
    bench.all_done()
    assert bench.in_slot == [True]
    bench.tell("1", pb.SIGN_IN_STATE_OPEN, b"3")
    until(lambda: bench.in_slot == [False, True], SECONDS)


def test_a_keystore_out_of_reach_is_told_and_the_agent_goes_on(bench: Bench) -> None:
    bench.sign_ins.is_there = False
    with pytest.raises(Failure, match="out of reach"):
        bench.agent.ask(Told.SIGN_IN)
    assert "out of reach" in bench.agent.status.keystore
    bench.sign_ins.is_there = True
    bench.agent.ask(Told.SIGN_IN)
    assert bench.agent.status.keystore == "reached"


def test_one_that_is_started_again_goes_on_with_the_sign_ins(tmp_path: Path) -> None:
    bench = new_bench(tmp_path, Settings(slots=2))
    (tmp_path / "sign-in").write_text("7\n8\n9")  # it had three slots
    thread = threading.Thread(target=bench.agent.run, daemon=True)
    thread.start()
    bench.open("7")
    bench.open("8", slot=1)
    until(lambda: bench.sign_ins.ended == ["9"], SECONDS)
    assert (bench.taken, bench.sign_ins.begun) == ([0, 1], [])
    bench.agent.stop()
    thread.join(SECONDS)
    assert (bench.taken, sorted(bench.sign_ins.ended)) == ([], ["7", "8", "9"])
