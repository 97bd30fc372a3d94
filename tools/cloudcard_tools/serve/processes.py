"""The processes of `cloudcard serve`, and what they say on standard output."""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing
from functools import partial
from typing import NamedTuple

import click
import structlog

from cloud_keystore.border.sockets import Socket, Sockets, listening
from cloud_keystore.config import Settings
from cloud_keystore.custody.sealing.sealing_keys import TOKEN, Source
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.notify.siblings import Siblings
from cloud_keystore.run import serving
from cloud_keystore.run.offering import hosts
from cloud_keystore.run.opening import open_keystore
from cloud_keystore.run.owning import Hold, own, share, whole_or_nothing
from cloudcard_tools import ending
from cloudcard_tools.serve.holding import holding
from cloudcard_tools.serve.supervisor import Part, Supervisor, run_once
from cloudcard_tools.shared import logs
from cloudcard_tools.shared.failures import Failure

log = structlog.get_logger()

NO_OPERATORS = 3  # exit status of the process that prepares a keystore without any


class Face(NamedTuple):
    """A process without keys: what it does, where it asks custody, and whether it is wanted."""

    kind: str
    serve: Callable[[Settings, Socket, Siblings], Coroutine[object, object, None]]
    asked: Callable[[Sockets], Socket]
    is_wanted: Callable[[Settings], object] = lambda _: True


WORKER = Face("worker", serving.face_clients, lambda s: s.main)
FACES = (  # in the order of the numbers of their metrics, which follow those of the workers
    Face("enrolment", serving.face_newcomers, lambda s: s.enrolment),
    Face("status", serving.face_strangers, lambda s: s.status, lambda s: s.status_listen),
    Face("mail", serving.send_mail, lambda s: s.mail, lambda s: s.sends),
    Face("rest", serving.face_programs, lambda s: s.rest, lambda s: s.rest_listen),
    Face("outside", serving.call_authorities, lambda s: s.outside, hosts.calls),
    Face("web", serving.face_people, lambda s: s.web, lambda s: s.web),
    Face("est", serving.face_workstations, lambda s: s.est, lambda s: s.est_listen),
    Face("cards", serving.face_cards, lambda s: s.cards, hosts.cards_origin),
)


def say_ready(settings: Settings, form: logs.Form, *, has_operators: bool) -> None:
    """Tell on standard output that the keystore serves, what to back up, and who comes first."""
    lines = [
        f"Keystore ready on {settings.listen}, enrolment on {settings.enrol_listen}.",
        f"Data in {settings.data}{_to_back_up(settings)}.",
    ]
    if not has_operators and settings.operator_token.exists():  # not at another replica
        enrol = ["cloudcard", "ra", "enrol", "--token-file", str(settings.operator_token)]
        lines.append(f"First operator: {shlex.join(enrol)}")
    for line in lines:
        logs.say(line, form)


def _to_back_up(settings: Settings) -> str:
    """What the database cannot be opened without, where it is a file or is told by one."""
    sources = [Source.parse(each, settings.token) for each in settings.sealing_keys]
    files = [each.where for each in sources if each.kind != TOKEN]
    if not sources:
        files = [settings.sealing_key.name]
    if not files:
        return "; the sealing key is in the token: back that up apart from the database"
    return f"; back up {' and '.join(files)} apart from the database"


def supervise(settings: Settings, workers: int, form: logs.Form) -> None:
    """Prepare and lock the data folder, and run each part of the keystore in a process of its own:
    the workers and the enrolment port face the network, and custody has the keys.
    """
    # The folder comes first: the processes of a killed supervisor give it up before their ports.
    with closing(own(settings)) as hold, ExitStack() as held:
        with whole_or_nothing(settings, hold) as keep:
            held.enter_context(holding((settings.listen, settings.enrol_listen)))
            has_operators = _prepare(settings, hold, form)
            sockets = held.enter_context(listening(settings.data))
            keep()

        def custody(siblings: Siblings) -> None:
            with closing(share(settings)) as shared, open_keystore(settings, shared) as parts:
                asyncio.run(serving.keep_custody(parts, sockets, siblings))

        def facing(face: Face) -> Callable[[Siblings], None]:
            def work(siblings: Siblings) -> None:
                asked = sockets.only(face.asked(sockets))
                asyncio.run(face.serve(settings, asked, siblings))

            return work

        parts = [
            *(_part("custody", number, custody, form) for number in range(workers)),
            *(_part(WORKER.kind, number, facing(WORKER), form) for number in range(workers)),
            *(
                _part(face.kind, number, facing(face), form)
                for number, face in enumerate(FACES, workers)
                if face.is_wanted(settings)
            ),
        ]
        Supervisor(parts).run(partial(say_ready, settings, form, has_operators=has_operators))


def _prepare(settings: Settings, hold: Hold, form: logs.Form) -> bool:
    """Make or upgrade the keystore, in a process that ends with its keys. Returns whether there are
    operators.
    """

    def prepare(_: Siblings) -> None:
        with open_keystore(settings, hold) as parts:
            serving.make_ready(parts)
            if not parts.has_operators:
                raise click.exceptions.Exit(NO_OPERATORS)

    status = run_once(_part("preparing", 0, prepare, form))
    if status not in (0, NO_OPERATORS):
        raise click.exceptions.Exit(status)
    return status == 0


def _say_why(why: str, form: logs.Form) -> None:
    if form == "json":
        log.error(why)
    else:
        click.echo(f"Error: {why}", err=True)


def _part(kind: str, number: int, work: Callable[[Siblings], None], form: logs.Form) -> Part:
    """A process of the keystore, which says by itself why it fails."""

    def run(siblings: Siblings) -> int:
        logs.configure(logging.INFO, form, **{kind: number})
        try:
            work(siblings)
        except click.exceptions.Exit as ended:
            return ended.exit_code
        except (KeystoreError, OSError) as error:
            why = str(error) if isinstance(error, KeystoreError) else ending.of(error).message
            _say_why(why, form)
            return Failure.exit_code
        return 0

    waits = kind not in ("custody", "preparing")
    return Part(kind, number, run, waits=waits, rank=0 if waits else 1)
