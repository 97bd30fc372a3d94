"""`--application MODULE:FACTORY` for a card of the user's own, and `--keys` for its key service."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import click

from card_os import Card, KeyRequest, KeyResult, Random, Refusal
from cloudcard_tools.shared.failures import Failure

if TYPE_CHECKING:
    from reader_bridge.tasks import Cancellation

FC = TypeVar("FC", bound=Callable[..., None])

CardFactory: TypeAlias = Callable[[Random], Card]


def application_option(command: FC) -> FC:
    """Adds the option, as `application`."""
    return click.option(
        "--application",
        metavar="MODULE:FACTORY",
        help="The card that this function makes, which is called with a source of random bytes.",
    )(command)


def card_factory(name: str) -> CardFactory:
    """The function that makes the card. Modules of the current folder are found too. Raises Failure
    if there is none.
    """
    factory = _found(name)

    def make(random: Random) -> Card:
        card = _called(name, lambda: factory(random))
        if not isinstance(card, Card):
            raise Failure(f"{name} has to return a card_os.Card, not {type(card).__name__}")
        return card

    return make


def key_service(name: str | None) -> PlainKeys:
    """The key service that a function without arguments makes. Without a function, the service
    refuses every key request. Raises Failure if the function fails.
    """
    if name is None:
        return PlainKeys(lambda _: Refusal.UNAVAILABLE)
    made = _called(name, _found(name))
    perform = getattr(made, "perform", None)
    if not callable(perform):
        raise Failure(f"{name} has to return a key service: {type(made).__name__} has no perform()")
    return PlainKeys(perform)


class PlainKeys:
    """Adapts a key service to what a slot expects; it is never told to stop."""

    def __init__(self, perform: Callable[[KeyRequest], KeyResult]) -> None:
        self._perform = perform

    def perform(self, request: KeyRequest, cancellation: Cancellation, /) -> KeyResult:
        """Return what the key service answers."""
        del cancellation
        return self._perform(request)

    def reset(self) -> None:
        """Do nothing: the answers do not depend on resets."""


def _called(name: str, factory: Callable[[], object]) -> object:
    """What the user's function returns. Raises Failure for whatever it raises."""
    try:
        return factory()
    except Exception as error:
        raise Failure(f"{name} fails: {error!r}") from error


def _found(name: str) -> Callable[..., object]:
    """The function named MODULE:NAME. Raises Failure if it cannot be found."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise Failure(f"{name!r} names no function: write MODULE:FUNCTION, as hello_card:new_card")
    here = os.getcwd()
    if here not in sys.path:
        # An installed command does not look in the current folder.
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise Failure(f"{module_name} cannot be imported: {error!r}") from error
    found = getattr(module, attribute, None)
    if not callable(found):
        raise Failure(f"{module_name} has no function {attribute}")
    factory: Callable[..., object] = found
    return factory
