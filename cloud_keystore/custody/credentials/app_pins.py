"""App PINs: a phone asks its holder for one before it approves, if the holder wants that, and the
keystore compares it: what is kept on the phone does not help to guess it.

Whoever has forgotten it gets a code from the registration authority, whose newest one alone counts,
once. The code is of use on this phone alone, which the operator does not have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from sqlalchemy import Connection

from card_os.piv.names import KeyRef
from cloud_keystore.audit import acting, budgets, entries, journal
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import (
    ApprovalRejected,
    DeviceNotFound,
    IdentityRejected,
    InvalidInput,
    NoAppPin,
    RecordDamaged,
)
from cloud_keystore.model.fields.app_pins import (
    CHECKED_TIME,
    CODE_TIME,
    CODE_TRIES,
    LONGEST_REQUEST,
    PIN_TRIES,
    AppPin,
    Asked,
    PinCode,
    Tried,
)
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.passcodes import new_code, violated_rule
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.storage import people
from cloud_keystore.storage.credentials import app_pins
from cloud_keystore.storage.outbox import notifications as outbox

NO_CODE = "there is no code that is still good: ask your registration authority for another one"


def check_given(connection: Connection, device: Identity, request_id: str, now: datetime) -> None:
    """Raise ApprovalRejected if a device asks for a PIN, and it was not given for this request."""
    pin = app_pins.find(connection, device.id)
    if pin is not None and not pin.permits(request_id, now):
        raise ApprovalRejected("this phone asks for its PIN first: give it, and approve again")


@dataclass(frozen=True, slots=True)
class AppPins:
    """Takes and compares the PINs of devices."""

    passcodes: Passcodes

    def look(self, device: Identity) -> Asked:
        """Whether a device asks for a PIN."""
        with self.passcodes.database.read() as connection:
            found = app_pins.find(connection, device.id)
        return Asked(False) if found is None else Asked(True, found.tries_left)

    def choose(self, pin: bytes, device: Identity) -> Tried:
        """Set a device's first PIN. Raises InvalidInput if it has one."""
        if rule := violated_rule(KeyRef.PIN, pin):
            return Tried(False, PIN_TRIES, rule)
        own = self.passcodes
        with own.hashing.turn():
            hashed = self._hashed(device.id, pin)
        with own.database.write() as connection:
            now = self._begun(connection, device)
            if app_pins.find(connection, device.id) is not None:
                raise InvalidInput("this phone has a PIN already: change it")
            app_pins.add(connection, device.id, hashed)
            self._tell(connection, Kind.APP_PIN_SET, device, device.actor, now)
        return Tried(True, PIN_TRIES)

    def change(self, old: bytes, new: bytes, device: Identity) -> Tried:
        """Set another PIN, if the old one is right. Raises NoAppPin if there is none."""
        if rule := violated_rule(KeyRef.PIN, new):
            return Tried(False, self.look(device).tries_left, rule)

        def replaced(connection: Connection, pin: AppPin, now: datetime) -> bool:
            done = app_pins.replace(connection, pin, hashed)
            if done:
                self._tell(connection, Kind.APP_PIN_CHANGED, device, device.actor, now)
            return done

        with self.passcodes.hashing.turn():
            hashed = self._hashed(device.id, new)
            return self._tried(old, device, replaced)

    def check(self, pin: bytes, request_id: str, device: Identity) -> Tried:
        """Whether a PIN is right, which permits the approval of one request, for two minutes.
        Raises InvalidInput, and NoAppPin if the device has none.
        """
        if not (0 < len(request_id) <= LONGEST_REQUEST and request_id.isprintable()):
            raise InvalidInput(
                "name the request by its identifier, or the card by its serial number"
            )

        def checked(connection: Connection, pin: AppPin, now: datetime) -> bool:
            return app_pins.check(connection, pin, request_id, now + CHECKED_TIME)

        with self.passcodes.hashing.turn():
            return self._tried(pin, device, checked)

    def make_code(self, device_id: str, *, actor: Actor) -> PinCode:
        """A code by which the holder of a device chooses another PIN on it, in the place of earlier
        ones. Raises DeviceNotFound, NotAllowed, and NoAppPin if it has no PIN.
        """
        own, now = self.passcodes, self.passcodes.clock()
        code, code_id, end = new_code(own.random), new_id(now, own.random), now + CODE_TIME
        with acting.changing(own.database, actor, now) as by:
            found = people.find_identity(by.connection, device_id)
            if found is None or found.role is not Role.DEVICE or not by.sees_identity(found):
                raise DeviceNotFound("there is no such device: list those of its holder")
            by.user(found.user_id or "", Right.DEVICES)
            if app_pins.find(by.connection, device_id) is None or not found.is_active(now):
                raise NoAppPin("this phone asks for no PIN: its holder has not chosen one")
            hashed = self._hashed_code(code_id, code.encode())
            app_pins.add_code(by.connection, device_id, code_id, hashed, CODE_TRIES, end)
            self._tell(by.connection, Kind.APP_PIN_CODE_MADE, found, actor, now)
            facts = {"device": found.display_name, "until": f"{end:%Y-%m-%d %H:%M} UTC"}
            outbox.put(
                by.connection, Template.APP_PIN_CODE, found.user_id, now, code_id, facts=facts
            )
        return PinCode(code, end)

    def reset(self, code: bytes, new: bytes, device: Identity) -> Tried:
        """Set another PIN by the newest code, which is good once. Raises NoAppPin if there is
        none.
        """
        if rule := violated_rule(KeyRef.PIN, new):
            return Tried(False, CODE_TRIES, rule)
        own = self.passcodes
        with own.hashing.turn():
            hashed = self._hashed(device.id, new)
        with own.database.write() as connection:
            now = self._begun(connection, device)
            found = app_pins.find(connection, device.id)
            if found is None or not found.has_code(now):
                raise NoAppPin(NO_CODE)
            spent = app_pins.spend_code_try(connection, device.id)
            if spent is None:
                raise NoAppPin(NO_CODE)
            given = self._hashed_code(spent.code_id or "", code)
            if not compare_digest((spent.code_hash or "").encode(), given.encode()):
                self._tell(
                    *(connection, Kind.APP_PIN_CODE_WRONG, device, device.actor, now),
                    spent.code_tries,
                )
                return Tried(False, spent.code_tries)
            if not app_pins.replace(connection, spent, hashed, by_code=True):
                raise NoAppPin(NO_CODE)
            self._tell(connection, Kind.APP_PIN_RESET, device, device.actor, now)
        return Tried(True, PIN_TRIES)

    def _tried(
        self,
        pin: bytes,
        device: Identity,
        settle: Callable[[Connection, AppPin, datetime], bool],
    ) -> Tried:
        """Spend a try before the PIN is compared, and settle what is right."""
        own = self.passcodes
        with own.database.write() as connection:
            self._begun(connection, device)
            if app_pins.find(connection, device.id) is None:
                raise NoAppPin("this phone has no PIN: choose one")
            spent = app_pins.spend_try(connection, device.id)
        if spent is None:
            return Tried(False, 0)
        fits = self._fits(spent, pin)
        with own.database.write() as connection:
            now = self._begun(connection, device)
            if fits and settle(connection, spent, now):
                return Tried(True, PIN_TRIES)
            left = spent.tries_left
            self._tell(connection, Kind.APP_PIN_WRONG, device, device.actor, now, left)
        return Tried(False, left)

    def _begun(self, connection: Connection, device: Identity) -> datetime:
        now = self.passcodes.clock()
        if not people.is_active(connection, device.id, now):
            raise IdentityRejected("this identity is unknown or was removed: enrol again")
        budgets.check(connection, device.actor, now)
        return now

    def _fits(self, pin: AppPin, given: bytes) -> bool:
        try:
            return self.passcodes.hasher.verify(pin.hash, self._pepper(pin.device_id, given))
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as error:
            raise RecordDamaged(f"PIN of {pin.device_id} ({type(error).__name__})") from None

    def _hashed(self, device_id: str, pin: bytes) -> str:
        return self.passcodes.hasher.hash(self._pepper(device_id, pin))

    def _pepper(self, device_id: str, pin: bytes) -> bytes:
        # As for passcodes: a stolen database is of no use without its sealing key.
        return self.passcodes.seal.derive("app PIN", f"{device_id}/".encode() + pin)

    def _hashed_code(self, code_id: str, code: bytes) -> str:
        # It is random, and has few tries: a keyed hash suffices.
        return self.passcodes.seal.derive("app PIN code", f"{code_id}/".encode() + code).hex()

    def _tell(
        self,
        connection: Connection,
        kind: Kind,
        device: Identity,
        actor: Actor,
        now: datetime,
        tries_left: int | None = None,
    ) -> None:
        said: dict[str, Detail] = {} if tries_left is None else {"tries_left": tries_left}
        journal.append(connection, entries.about_identity(kind, device, now, actor, said))
