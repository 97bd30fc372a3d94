"""Refusals that cross the border: their class, their text, and what only the log may tell."""

from __future__ import annotations

from cloud_keystore.border.encoding import Plain, Unreadable
from cloud_keystore.model import errors
from cloud_keystore.model.errors import KeystoreError

KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, KeystoreError)
}


def plain(error: KeystoreError) -> Plain:
    """A refusal as plain values."""
    cause = error.__cause__
    return [
        _known(type(error)).__name__,
        str(error),
        error.retry_seconds if isinstance(error, errors.ComeBack) else None,
        "" if cause is None else str(getattr(cause, "orig", None) or cause),
    ]


def refusal(said: Plain) -> KeystoreError:
    """The refusal that plain values say; raises Unreadable."""
    match said:
        case [str(name), str(text), None | float() as seconds, str(cause)] if name in KINDS:
            error = KINDS[name](text)
        case _:
            raise Unreadable("no refusal")
    if isinstance(error, errors.ComeBack) and seconds is not None:
        error.retry_seconds = seconds
    if cause:
        error.__cause__ = RuntimeError(cause)
    return error


def _known(kind: type[KeystoreError]) -> type[KeystoreError]:
    """The class itself, or the nearest of those above it that both sides know."""
    return next(each for each in kind.__mro__ if each in KINDS.values())
