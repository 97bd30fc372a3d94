"""The identity under which a command calls the keystore: --identity and --json, for all
commands.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TypeAlias, TypeVar

import grpc

from cloudcard_tools.enrolment.living import living
from cloudcard_tools.shared import identity, output, reaching
from cloudcard_tools.shared.calling import explained, in_time
from cloudcard_tools.shared.enrolling import folder_of, identity_option

Command: TypeAlias = Callable[..., None]
Service = TypeVar("Service")


@contextmanager
def service(own: identity.Identity, stub: Callable[[grpc.Channel], Service]) -> Iterator[Service]:
    """The stub that `stub` makes of a channel under an identity, which is renewed if it is time.
    Each call has a deadline; a failed call raises Failure.
    """
    with explained(partial(reaching.why, own.way)), living(own) as channel:
        yield stub(in_time(channel))


@dataclass(frozen=True, slots=True)
class Caller:
    """An identity by its folder, and whether output is text or JSON."""

    folder: Path
    as_json: bool
    sort: str = ""  # the column by which lists are printed, perhaps after a minus

    @property
    def by_hand(self) -> bool:
        """Whether a person at a terminal can be asked, because no program reads the output."""
        return sys.stdin.isatty() and not self.as_json

    def service(self, stub: Callable[[grpc.Channel], Service]) -> AbstractContextManager[Service]:
        """A stub that calls a service under the identity. Raises Failure if the identity cannot be
        read.
        """
        return service(identity.load(self.folder), stub)

    def print_facts(self, facts: output.Row, labels: Mapping[str, str]) -> None:
        """Print one thing."""
        output.print_facts(facts, labels, as_json=self.as_json)

    def print_rows(
        self,
        rows: Sequence[output.Row],
        columns: Mapping[str, str],
        nothing: str,
        spare: Sequence[str] = (),
    ) -> None:
        """Print a list. A narrow terminal can do without the columns of `spare`."""
        rows = output.in_order(rows, self.sort)
        output.print_rows(rows, columns, nothing, as_json=self.as_json, spare=spare)


def caller_options(role: str) -> Callable[[Command], Command]:
    """Add --identity and --json, and give the command its `caller`."""

    def options(command: Command) -> Command:
        @identity_option(role)
        @output.json_option
        @wraps(command)
        def with_caller(folder: Path | None, as_json: bool, **others: object) -> None:
            command(caller=Caller(folder_of(folder, role), as_json), **others)

        return with_caller

    return options
