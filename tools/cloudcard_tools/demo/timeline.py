"""What the demo prints: one line a step, with its duration."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import click

INDENT = " " * 12
HANGING = 17  # where the text of a step begins
WIDTH = 80


class StepFailed(click.ClickException):
    """A step did not show what it should. The text says what was seen."""


class Halted(StepFailed):
    """A step failed on which all others depend."""


class Declined(click.ClickException):
    """You have decided otherwise than the step shows, which is no failure. `outcome` says how the
    step ended.
    """

    def __init__(self, text: str, outcome: str = "denied") -> None:
        super().__init__(text)
        self.outcome = outcome


def wrapped(text: str, indent: str = "") -> str:
    """Lines that fit into any terminal; line ends stay."""
    return "\n".join(
        textwrap.fill(
            line,
            WIDTH - 1,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.splitlines()
    )


@dataclass(slots=True)
class Timeline:
    """Prints each step when it ends, and at the end how many failed."""

    started: float = field(default_factory=time.monotonic)
    done: int = 0
    declined: int = 0
    failed: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Set the time to zero: waiting for other users of pcscd is not part of the demo."""
        self.started = time.monotonic()

    def title(self, text: str) -> None:
        """Print the title of a part."""
        click.echo("\n" + click.style(text, bold=True))

    def note(self, text: str) -> None:
        """Print a note that belongs to the current step."""
        click.echo(click.style(wrapped(text, INDENT), dim=True))

    @contextmanager
    def step(self, text: str, *, needed: bool = False) -> Iterator[None]:
        """Time the block. A failed step is printed and counted, and the following steps still
        run. If they are of no use without this one, it is `needed`: then it raises Halted.
        """
        begun = time.monotonic()
        try:
            yield
        except Declined as error:
            self.declined += 1
            self._line(begun, click.style(error.outcome.ljust(6), fg="yellow"), text)
            click.echo(wrapped(error.format_message(), INDENT))
        except click.ClickException as error:
            self.failed.append(text)
            self._line(begun, click.style("FAILED", fg="red"), text)
            click.echo(wrapped(error.format_message(), INDENT))
            if needed:
                self.note("The other steps need this one, and were left out.")
                raise Halted(text) from None
        else:
            self.done += 1
            self._line(begun, click.style("ok    ", fg="green"), text)

    def end(self) -> None:
        """Print the totals. Raises StepFailed if any step failed."""
        seconds = time.monotonic() - self.started
        otherwise = f" {self.declined} ended as you decided," if self.declined else ""
        click.echo(
            f"\n{self.done} steps done in {seconds:.0f} s,{otherwise} {len(self.failed)} failed."
        )
        if self.failed:
            raise StepFailed("failed: " + "; ".join(self.failed))

    def _line(self, begun: float, outcome: str, text: str) -> None:
        now = time.monotonic()
        lines = wrapped(f"{text} ({now - begun:.2f}s)", " " * HANGING).lstrip()
        click.echo(f"{begun - self.started:6.1f} s  {outcome} {lines}")


def require(what: bool, otherwise: str) -> None:
    """Raise StepFailed unless `what` is true."""
    if not what:
        raise StepFailed(otherwise)
