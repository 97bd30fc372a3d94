"""Runs the agent until it is told to stop."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import grpc

from card_os.card import Card
from cloudcard.workstation.v1 import workstation_pb2
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.enrolment.living import living
from cloudcard_tools.reader import keystore_watch
from cloudcard_tools.reader.of_keystore import CHANNELS, ROLE
from cloudcard_tools.reader.screen import Screen
from cloudcard_tools.reader.service import control, notifying, reporting, state
from cloudcard_tools.reader.service.agent import Agent
from cloudcard_tools.reader.service.place import Keys, Parts
from cloudcard_tools.reader.service.settings import Settings, apply_proxy, load, own_file
from cloudcard_tools.reader.via import Via
from cloudcard_tools.shared import identity, logs
from cloudcard_tools.shared.calling import Diagnose, explain
from cloudcard_tools.shared.enrolling import folder_of
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.identity import Identity
from cloudcard_tools.shared.output import Row
from cloudcard_tools.shared.reaching import why
from reader_bridge.carriers.carrier import Carrier, SlotState
from reader_bridge.desktop.watching import watched
from reader_bridge.leaving import Told
from reader_bridge.pcscd import Hold
from reader_bridge.remote.keys import RemoteKeys
from reader_bridge.remote.sign_in import RemoteSignIns
from reader_bridge.remote.stub import CALL_SECONDS
from reader_bridge.remote.uses import Uses
from reader_bridge.remote.watches import Watches
from reader_bridge.slot import Slot

BACK, REACHED = "keystore_back", "reached"
ASKED = {"sign-in": Told.SIGN_IN, "sign-out": Told.SIGN_OUT}


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells of the keystore, and notes it in the status."""

    screen: Screen
    status: state.Status

    def say(self, event: str, text: str, **more: str | int) -> None:
        """Tell whether the keystore is there."""
        self.status.keystore = REACHED if event == BACK else text
        self.screen.say(event, text, **more)


def run(
    screen: Screen,
    folder: Path | None,
    via: Via,
    stop: threading.Event,
    *,
    prompt: str | None,
    hold_pcscd: bool,
) -> None:
    """Run the agent until asked to stop. Raises Failure."""
    settings, overruled = load(own_file())
    for line in overruled:
        screen.say("overruled", line)
    apply_proxy(settings)
    logs.configure(logging.WARNING)
    named = folder or (Path(settings.identity) if settings.identity else None)
    own = identity.load(folder_of(named, ROLE))
    carriers = carriers_of(settings, via)
    runtime = state.folder()
    with ExitStack() as stack:
        channel = stack.enter_context(living(own))
        hold = None
        if hold_pcscd:
            hold = Hold()
            stack.callback(hold.release)
        prompter = stack.enter_context(
            screen.prompter(prompt or settings.prompt or None, settings.qr_after)
        )
        uses, watches = Uses(channel), Watches(channel)

        def insert(slot: int, card: Card, keys: Keys, changed: Callable[[SlotState], None]) -> Slot:
            if not isinstance(keys, RemoteKeys):
                raise TypeError("these are no keys of the keystore")
            return Slot(carriers[slot], card, keys, changed, hold)

        def keys_of(serial: str) -> Keys:
            channels = CHANNELS[settings.approval]
            return RemoteKeys(
                channel,
                serial,
                prompter,
                channels,
                settings.program,
                sessions=settings.sessions,
                uses=uses,
                watches=watches,
            )

        parts = Parts(
            sign_ins=RemoteSignIns(WorkstationServiceStub(channel)),
            keys=keys_of,
            insert=insert,
            prompter=prompter,
            notifier=notifying.of_this_process(),
            say=screen.say,
        )
        status = state.Status(
            version=version("cloudcard"),
            pid=os.getpid(),
            workstation=own.display_name,
            slots=tuple(state.Here(number) for number in range(settings.slots)),
        )
        agent = Agent(parts, settings, status, runtime / state.SIGN_IN_NAME)
        answer = partial(_answer, agent, own)
        stack.enter_context(control.served(runtime / state.SOCKET_NAME, answer))
        ask = partial(_ask, WorkstationServiceStub(channel), partial(why, own.way))
        stack.enter_context(keystore_watch.watched(channel, ask, Teller(screen, status)))
        stack.enter_context(reporting.reported(channel))
        stack.enter_context(watched(os.getuid(), agent.desktop))
        threading.Thread(target=_stopped, args=(agent, stop), daemon=True).start()
        agent.run()


def carriers_of(settings: Settings, via: Via) -> list[Carrier]:
    """The ways to the slots: as the options say, else the configuration."""
    configured = Via(
        via.name or settings.via or None,
        via.port or settings.port or None,
        via.slot if via.slot is not None else (settings.slot if settings.slot >= 0 else None),
    )
    return configured.carriers(settings.slots)


def _ask(stub: WorkstationServiceStub, diagnose: Diagnose) -> Failure | None:
    """Why the keystore cannot be reached; None if it can."""
    try:
        stub.Ping(workstation_pb2.PingRequest(), timeout=CALL_SECONDS)
    except grpc.RpcError as error:
        return explain(error, diagnose)
    return None


def _answer(agent: Agent, own: Identity, request: dict[str, object]) -> Row:
    do, user, card = request.get("do"), request.get("user", ""), request.get("card", "")
    if do == "status":
        _, certificate = own.pair()  # which can have been renewed
        agent.status.identity_expires = certificate.not_valid_after_utc.isoformat()
        return agent.status.as_row()
    if do not in ASKED or not isinstance(user, str) or not isinstance(card, str):
        raise Failure("the agent knows status, sign-in and sign-out")
    return agent.status.as_row(agent.ask(ASKED[str(do)], user, card))


def _stopped(agent: Agent, stop: threading.Event) -> None:
    stop.wait()
    agent.stop()
