"""The calls of a page that asks its holder for a PIN before it approves."""

from __future__ import annotations

from dataclasses import dataclass

from cloud_keystore.custody.credentials.app_pins import AppPins
from cloud_keystore.model.fields.app_pins import Tried
from cloud_keystore.web import models as m
from cloud_keystore.web.authenticator import Row
from cloud_keystore.web.calls import current
from cloud_keystore.web.proving import PIN


@dataclass(frozen=True, slots=True)
class PinCalls:
    """Translates between JSON and the use case."""

    pins: AppPins

    def rows(self) -> tuple[Row, ...]:
        """The calls."""
        return (
            Row("GET", PIN, self.look),
            Row("POST", PIN, self.choose),
            Row("POST", f"{PIN}/change", self.change),
            Row("POST", f"{PIN}/check", self.check),
            Row("POST", f"{PIN}/reset", self.reset),
        )

    def look(self) -> m.PinAsked:
        """Whether this phone asks for a PIN."""
        found = self.pins.look(current().device)
        return m.PinAsked(is_set=found.is_set, tries_left=found.tries_left)

    def choose(self, said: m.Choosing) -> m.Changed:
        """Set the first PIN."""
        return _changed(self.pins.choose(m.secret(said.passcode), current().device))

    def change(self, said: m.Changing) -> m.Changed:
        """Replace the PIN."""
        old, new = m.secret(said.old_passcode), m.secret(said.new_passcode)
        return _changed(self.pins.change(old, new, current().device))

    def check(self, said: m.Checking) -> m.Changed:
        """Give the PIN for one request."""
        pin = m.secret(said.pin)
        return _changed(self.pins.check(pin, said.operation_id, current().device))

    def reset(self, said: m.Resetting) -> m.Changed:
        """Replace the PIN by a code that the registration authority has read out."""
        code, new = m.secret(said.secret), m.secret(said.new_passcode)
        return _changed(self.pins.reset(code, new, current().device))


def _changed(tried: Tried) -> m.Changed:
    left = None if tried.is_right or tried.rule else tried.tries_left
    return m.Changed(is_set=tried.is_right, tries_left=left, rule=tried.rule)
