"""Secure messaging for an application: a selection that unwraps protected commands."""

from __future__ import annotations

from typing import Protocol, TypeVar

from card_os.apdu import Command
from card_os.dispatch import Reply, Selection
from card_os.keys import Exchange
from card_os.secure_messaging import SecureMessaging
from card_os.status import SW, CardError


class Keeper(Protocol):
    """A state that holds the session keys which one of its handlers has established."""

    secure_messaging: SecureMessaging | None


KeeperState = TypeVar("KeeperState", bound=Keeper)


class ProtectedSelection(Selection[KeeperState]):
    """A selection that accepts secure messaging for the instructions whose row allows it."""

    _error = ""

    @property
    def protected_error(self) -> str:
        """Why the last protected command failed, as its response says inside; else empty."""
        return self._error

    @property
    def secure_messaging(self) -> SecureMessaging | None:
        """The session keys for the next command; None if there are none."""
        return self.state.secure_messaging

    def end_secure_messaging(self) -> None:
        """Forget the session keys."""
        self.state.secure_messaging = None

    def check_protection(self, header: Command) -> None:
        """Raise 6882 if the instruction does not accept secure messaging."""
        found = self.table.interindustry.get(header.ins)
        if found is None or not found.protected:
            raise CardError(SW.SECURE_MESSAGING_NOT_SUPPORTED, "not for this instruction")

    def process(self, command: Command, number: int) -> Reply:
        """Response data, or the exchange that ends with it; the command's `number` is not used."""
        del number
        return self._unwrapped(command) if command.is_secured else self.answer(command)

    def _unwrapped(self, protected: Command) -> Exchange:
        """Process the command inside a protected one, and protect its response.

        The session keys are put back only with the response. If the command ends in any other way
        (an error of secure messaging, a bug, a reader that hangs up), they are lost (SP 800-73-5
        part 2, 4.3). Raises 6982 if there are no session keys.
        """
        self._error = ""
        state = self.state
        secure, state.secure_messaging = state.secure_messaging, None
        if secure is None:
            raise CardError(SW.SECURITY_STATUS_NOT_SATISFIED, "there are no session keys")
        command, secure = secure.unwrap(protected)
        sw: int = SW.OK
        try:
            reply = self.answer(command)
            data = reply if isinstance(reply, bytes) else (yield from reply)
        except CardError as error:
            data, sw = b"", error.sw
            self._error = error.why
        response, state.secure_messaging = secure.wrap(data, sw)
        return response
