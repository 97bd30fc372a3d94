"""Secure messaging for an application: a selection that opens what comes under it."""

from __future__ import annotations

from typing import Protocol, TypeVar

from card_os.apdu import Command
from card_os.dispatch import Reply, Selection
from card_os.keys import Exchange
from card_os.secure_messaging import SecureMessaging
from card_os.status import SW, CardError


class Keeper(Protocol):
    """A state which keeps the session keys that one of its handlers has agreed on."""

    secure_messaging: SecureMessaging | None


KeeperState = TypeVar("KeeperState", bound=Keeper)


class ProtectedSelection(Selection[KeeperState]):
    """A selection whose commands may come under secure messaging, where their row says so."""

    @property
    def secure_messaging(self) -> SecureMessaging | None:
        """The session keys under which the next command may be protected."""
        return self.state.secure_messaging

    def end_secure_messaging(self) -> None:
        """Forget the session keys."""
        self.state.secure_messaging = None

    def check_protection(self, header: Command) -> None:
        """Raise 6882 for a command that secure messaging is not for."""
        found = self.table.interindustry.get(header.ins)
        if found is None or not found.protected:
            raise CardError(SW.SECURE_MESSAGING_NOT_SUPPORTED, "not for this instruction")

    def process(self, command: Command, number: int) -> Reply:
        """Response data, or the exchange that ends with it; `number` is the command's."""
        del number
        return self._unwrapped(command) if command.is_secured else self.answer(command)

    def _unwrapped(self, protected: Command) -> Exchange:
        """Process what a protected command carries, and protect what comes of it.

        The session keys are put back only with the response: whatever ends a command otherwise, an
        error of secure messaging, a bug or a reader that hangs up, leaves none (SP 800-73-5 part 2,
        4.3).
        """
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
        response, state.secure_messaging = secure.wrap(data, sw)
        return response
