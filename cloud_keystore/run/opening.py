"""Opens a keystore: its database, its secrets and its keys; what does not exist yet is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256

from cloud_keystore.audit.sequencing import Log
from cloud_keystore.config import Address, Settings
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.backends.starting import TokenKeys, new_keys, token_keys
from cloud_keystore.custody.credentials.data_objects import DataObjects
from cloud_keystore.custody.sealing import authenticating, journal_key
from cloud_keystore.custody.sealing.holder import Holder
from cloud_keystore.custody.sealing.seal import Seal, SealingKeyError, load_or_make_key
from cloud_keystore.custody.sealing.sealing_keys import FILE, Source, is_sealed, open_seal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.clock import Clock, new_id
from cloud_keystore.model.errors import KeystoreError, StorageUnavailable
from cloud_keystore.model.limits import budgets
from cloud_keystore.observability.traces import Traces, from_environment
from cloud_keystore.people.people import People, Token
from cloud_keystore.pki import authorities
from cloud_keystore.pki.issuers import Authorities
from cloud_keystore.pki.revocation import recording
from cloud_keystore.run.owning import Hold
from cloud_keystore.run.timekeeping import check_clock, start_clock
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox.notifications import Terms
from private_files import writing


class DatabaseGone(KeystoreError):
    """The database is missing, although the data folder has the other files of a keystore."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of an open keystore, of which a process has one each."""

    settings: Settings
    clock: Clock
    database: Database
    seal: Seal = field(repr=False)
    holder: Holder
    token: TokenKeys | None
    custody: Keys
    authorities: Authorities
    log: Log
    people: People
    traces: Traces
    has_operators: bool  # at the time of opening


@contextmanager
def open_keystore(settings: Settings, hold: Hold, clock: Clock | None = None) -> Iterator[Parts]:
    """Open the keystore of a data folder that this process holds, or make one there. It is closed
    after the block, the last part first, also if opening fails half-way.

    Raises KeystoreError, which says what to do, if the keystore cannot be used.
    """
    clock = start_clock() if clock is None else clock
    if hold.whole:
        _check_there(settings)
    with ExitStack() as opened:
        database = Database(settings.database_url)
        opened.callback(database.close)
        if hold.whole:
            database.migrate()
        check_clock(database, clock())
        sources = _sealing_keys(settings, database)
        holder = Holder(new_id(clock(), os.urandom), database, clock)
        opened.callback(_leave, holder)
        seal = open_seal(database, sources, clock(), os.urandom, holder.id)
        limits = settings.limits
        database.limit_growth(budgets(limits.rates), int(limits.free_mebibytes * 2**20))
        if settings.tells:
            mail = settings.mail
            terms = Terms((), "") if mail is None else Terms(mail.remind_days, mail.feedback_to)
            database.tell_people(replace(terms, media=settings.tells))
        if authenticating.is_due(database):
            raise authenticating.NotBelieved(
                "this database is from before its records had authentication codes: look at what "
                f"`cloudcard keys authenticate --data {settings.data}` tells, and confirm it"
            )
        if hold.whole:
            DataObjects(database, seal, clock, os.urandom).seal_all()
        token = token_keys(settings.token, seal)
        if token is not None:
            opened.callback(token.pool.close)
        own = authorities.load_or_make(database, seal, clock)
        authorities.succeed(database, seal, own, clock(), os.urandom)
        if hold.whole:
            recording.begin_all(database, own, clock())
        log = journal_key.load_or_make(database, seal)
        traces = from_environment(os.environ)
        opened.callback(traces.close)
        people = People(
            database=database,
            clock=clock,
            random=os.urandom,
            enrolment_address=str(Address(settings.public_host, settings.enrol_listen.port)),
            enrolment_sha256=sha256(own.enrolment.der).digest(),
            seal=seal,
        )
        if hold.whole:
            people.complete_users()
        has_operators = people.has_operators()
        if not has_operators and not people.awaits_operator():
            _invite_operator(settings, people)
        yield Parts(
            settings=settings,
            clock=clock,
            database=database,
            seal=seal,
            holder=holder,
            token=token,
            custody=new_keys(seal, token, settings.key_backend),
            authorities=own,
            log=log,
            people=people,
            traces=traces,
            has_operators=has_operators,
        )


def _leave(holder: Holder) -> None:
    """Tell that this process ends. Where that fails, others find out by themselves."""
    with suppress(StorageUnavailable):
        holder.leave()


def _check_there(settings: Settings) -> None:
    """Raise DatabaseGone instead of making a new keystore in place of one whose database is gone:
    it would not know any card.
    """
    was_one = settings.sealing_key.exists() or settings.operator_token.exists()
    if not settings.database and was_one and not settings.database_file.exists():
        raise DatabaseGone(
            f"{settings.database_file} is missing, although {settings.data} belongs to a keystore: "
            "restore it from a backup, name another database with --database, or make a new "
            "keystore in a new folder"
        )


def _sealing_keys(settings: Settings, database: Database) -> list[Source]:
    """The sealing keys. The default key is made for a new database only; raises SealingKeyError if
    it is missing for an existing one.
    """
    if settings.sealing_keys:
        return [Source.parse(text, settings.token) for text in settings.sealing_keys]
    if is_sealed(database) and not settings.sealing_key.exists():
        raise SealingKeyError(
            f"{settings.sealing_key} is missing, and the database cannot be opened without it: "
            "restore it from the backup, or copy it from another replica"
        )
    load_or_make_key(settings.sealing_key, os.urandom)
    return [Source(FILE, str(settings.sealing_key))]


def _invite_operator(settings: Settings, people: People) -> None:
    """Invite the first operator with a token in the data folder: a person who can read the folder
    may become operator. There is no invitation without the file.
    """

    def keep(token: Token) -> None:
        writing.replace(settings.operator_token, f"{token.text}\n".encode())

    people.add_operator("first operator", actor=KEYSTORE, keep=keep)
