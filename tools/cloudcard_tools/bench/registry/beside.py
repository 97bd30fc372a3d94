"""What is made beside the keystore, because it takes hours there: a card and a phone for each
person, and spare keys. The rows are copies of those that the keystore has made, each with a code of
its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from sqlalchemy import ColumnElement, Table, exists, select

from cloud_keystore.config import Settings
from cloud_keystore.model.clock import new_id, utc_now
from cloud_keystore.model.people import IdentityState
from cloud_keystore.run.offering.use_cases import new_spares
from cloud_keystore.run.opening import Parts, open_keystore
from cloud_keystore.run.owning import share
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.engine import Database
from cloudcard_tools.bench.growth.filling import PORTION, Row, insert
from cloudcard_tools.bench.growth.keystore import of_kind

LIFE = timedelta(days=730)
GENERALIZED = "%Y%m%d%H%M%SZ"  # a time in a certificate (X.690, 11.7)
TABLES = (t.card, t.key, t.passcode)
Model: TypeAlias = dict[Table, list[Values]]
Periods: TypeAlias = Sequence[Sequence[datetime]]
PHONES = (t.identity.c.user_id == t.user.c.id) & (t.identity.c.state == IdentityState.ACTIVE)


@dataclass(frozen=True, slots=True)
class Beside:
    """Opens the database of a keystore that serves, as a further process of it would."""

    data: Path
    address: str  # of the database; empty for the file in the folder

    def give_cards(self, serial: str, done: Callable[[int], None]) -> int:
        """Give everybody who has none a card like that of a serial number. Their ends are spread
        evenly over two years. Returns how many cards there are; `done` is told how many were added.
        """
        with self._opened() as parts:
            model, holders = (
                _model(parts.database, serial),
                _without(parts.database, t.card.c.user_id == t.user.c.id),
            )
            periods = _periods(model)
            for start in range(0, len(holders), PORTION):
                copies = [
                    _copy(model, periods, holder, LIFE * number / len(holders))
                    for number, holder in enumerate(holders[start : start + PORTION], start)
                ]
                with parts.database.write(long=True) as connection:
                    for table in TABLES:
                        insert(connection, table, [row for copy in copies for row in copy[table]])
                done(len(copies))
        return len(holders) + 1

    def give_phones(self, device_id: str, most: int, done: Callable[[int], None]) -> list[bytes]:
        """Give so many people who have none a phone like one that has enrolled, with the same key.
        Returns SHA-256 of their certificates, which they do not have; `done` is told how many were
        added.
        """
        known: list[bytes] = []
        with self._opened() as parts:
            with parts.database.read() as connection:
                query = select(t.identity).where(t.identity.c.id == device_id)
                model = {**connection.execute(query).mappings().one()}
            holders = _without(parts.database, PHONES)[:most]
            for start in range(0, len(holders), PORTION):
                some = [
                    {
                        **model,
                        "id": new_id(utc_now(), os.urandom),
                        "user_id": holder,
                        "certificate_sha256": os.urandom(32),
                    }
                    for holder in holders[start : start + PORTION]
                ]
                with parts.database.write(long=True) as connection:
                    insert(connection, t.identity, some)
                known += [of_kind(bytes, each["certificate_sha256"]) for each in some]
                done(len(some))
        return known

    def make_spare_keys(self, size: int) -> None:
        """Make so many of each kind at once: the keystore waits for the computer to be idle."""
        with self._opened(size) as parts:
            spares = replace(new_spares(parts, 0), is_idle=lambda: True)
            while spares.fill():
                pass

    @contextmanager
    def _opened(self, spare_keys: int = 0) -> Iterator[Parts]:
        settings = Settings(self.data, database=self.address, spare_keys=spare_keys)
        with closing(share(settings)) as hold, open_keystore(settings, hold) as parts:
            yield parts


def _model(database: Database, serial: str) -> Model:
    with database.read() as connection:
        card_id = connection.execute(select(t.card.c.id).where(t.card.c.serial == serial)).scalar()
        conditions = (t.card.c.id, t.key.c.card_id, t.passcode.c.card_id)
        return {
            table: [
                {**row}
                for row in connection.execute(select(table).where(column == card_id)).mappings()
            ]
            for table, column in zip(TABLES, conditions, strict=True)
        }


def _without(database: Database, has_what: ColumnElement[bool]) -> Sequence[str]:
    """The identifiers of those who have nothing for which a condition holds."""
    has = exists().where(has_what)
    with database.read() as connection:
        return connection.execute(select(t.user.c.id).where(~has)).scalars().all()


def _copy(model: Model, periods: Periods, holder: str, left: timedelta) -> dict[Table, list[Row]]:
    now = utc_now()
    card_id = new_id(now, os.urandom)
    (card,) = model[t.card]
    copies: dict[Table, list[Row]] = {
        table: [{**row, "card_id": card_id} for row in model[table]]
        for table in (t.key, t.passcode)
    }
    later = now + left - of_kind(datetime, card["expire_time"])
    for key, times in zip(copies[t.key], periods, strict=True):
        key["id"] = new_id(now, os.urandom)
        key["certificate"] = _moved(of_kind(bytes, key["certificate"]), times, later)
    copies[t.card] = [
        {
            **card,
            "id": card_id,
            "serial": f"{int.from_bytes(os.urandom(8)):020}",
            "guid": os.urandom(16),
            "request_id": os.urandom(16),
            "user_id": holder,
            "create_time": now + left - LIFE,
            "expire_time": now + left,
        }
    ]
    return copies


def _periods(model: Model) -> Periods:
    """The private key usage period of each certificate of a card: the times that are there."""
    found: list[tuple[datetime, ...]] = []
    for key in model[t.key]:
        certificate = x509.load_der_x509_certificate(of_kind(bytes, key["certificate"]))
        try:
            period = certificate.extensions.get_extension_for_class(x509.PrivateKeyUsagePeriod)
        except x509.ExtensionNotFound:
            found.append(())
        else:
            times = (period.value.not_before, period.value.not_after)
            found.append(tuple(filter(None, times)))
    return found


def _moved(certificate: bytes, times: Sequence[datetime], later: timedelta) -> bytes:
    """A certificate whose private key usage period is so much later, which nobody has signed."""
    for time in times:
        before, after = (each.strftime(GENERALIZED).encode() for each in (time, time + later))
        certificate = certificate.replace(before, after)
    return certificate
