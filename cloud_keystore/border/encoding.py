"""Values as bytes on the border. Each is read back as the type that the table names, or refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache, partial
from operator import attrgetter
from threading import Lock
from types import UnionType
from typing import TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from cattrs import Converter
from cattrs.errors import BaseValidationError

from cloud_keystore.model.actors import Actor
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.people import Identity
from cloud_keystore.model.profiles import PROFILES, CardProfile

T = TypeVar("T")
NOT_READ = (
    BaseValidationError,
    msgspec.ValidationError,
    *(TypeError, ValueError, LookupError, AttributeError),
)
Plain: TypeAlias = object  # what msgpack knows: None, numbers, texts, bytes, times, lists, mappings

PRIMITIVES = (int, str, bytes, bool, float, datetime, type(None))
FLAT = (int, str, bytes, bool, bytes | None, str | None, tuple[bytes, ...], tuple[str, ...])
MICROSECOND = timedelta(microseconds=1)
# The caller of the request that is read: identities and actors among the arguments are always
# this one, so that no process of the network can speak for somebody whose certificate it has not.
CALLER: ContextVar[Identity] = ContextVar("caller")


class Unreadable(KeystoreError):
    """Bytes or values on the border are not what the table says."""


def pack(value: Plain) -> bytes:
    """Plain values as msgpack."""
    return msgspec.msgpack.encode(value)


def unpack(raw: bytes) -> Plain:
    """Read msgpack; raises Unreadable."""
    try:
        return msgspec.msgpack.decode(raw)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise Unreadable(f"no msgpack: {error}") from None


class Codec:
    """Turns values into plain ones and back, by type. `callers` is how identities and actors
    cross: True for arguments, where they stand for the caller, and False for results.
    """

    def __init__(self, *, callers: bool) -> None:
        self._converter = _converter()
        if callers:
            for kind, found in ((Identity, _caller), (Actor, _actor)):
                self._converter.register_unstructure_hook(kind, lambda _: None)
                self._converter.register_structure_hook(kind, found)
        self._known: set[object] = set()
        self._learning = Lock()

    def plain(self, value: object, kind: object) -> Plain:
        """The plain form of a value of a type."""
        if (flat := _flat(kind)) is not None:
            return flat.plain(value)
        self._learn(kind)
        return self._converter.unstructure(value, kind)

    def value(self, plain: Plain, kind: Callable[..., T] | type[T]) -> T:
        """The value of a type that has this plain form; raises Unreadable."""
        flat = _flat(cast(Hashable, kind))
        try:
            if flat is not None:
                return cast(T, flat.value(plain))
            self._learn(kind)
            found: T = self._converter.structure(plain, kind)  # type: ignore[arg-type]
        except NOT_READ as error:
            # The error has the value in it, which can be a secret.
            raise Unreadable(f"no {kind}: {type(error).__name__}") from None
        return found

    def _learn(self, kind: object) -> None:
        """Make the converter know the unions of classes within a type."""
        if kind in self._known:
            return
        with self._learning:
            for union in _unions(kind):
                self._tag(union, {each.__name__: each for each in _members(union)})
            self._known.add(kind)

    def _tag(self, union: object, members: Mapping[str, type]) -> None:
        """Let the value of a union cross with the name of its class."""
        converter = self._converter

        def plain(value: object) -> Plain:
            if value is None:
                return None
            return [type(value).__name__, converter.unstructure(value)]

        def value(said: Plain, _: object) -> object:
            match said:
                case None if type(None) in get_args(union):
                    return None
                case [str(name), of] if name in members:
                    return converter.structure(of, members[name])
            raise TypeError("none of the union")

        converter.register_unstructure_hook_func(lambda kind: kind == union, plain)
        converter.register_structure_hook_func(lambda kind: kind == union, value)


@dataclass(frozen=True, slots=True)
class _Flat:
    """A dataclass of simple fields, or a list of such. It crosses as the tuple of its fields, which
    msgspec itself checks in a tenth of the time.
    """

    kind: Callable[..., object]
    fields: Callable[[object], object]
    crossing: object  # a type of tuples
    many: bool

    def plain(self, value: object) -> Plain:
        return (
            [*map(self.fields, cast(Sequence[object], value))] if self.many else self.fields(value)
        )

    def value(self, plain: Plain) -> object:
        # Bytes are no text: msgspec would else take a text for bytes in base64.
        found = msgspec.convert(plain, self.crossing, builtin_types=(bytes,))
        return [self.kind(*each) for each in found] if self.many else self.kind(*found)


@cache
def _flat(kind: object) -> _Flat | None:
    """How a type crosses if it is flat."""
    many = get_origin(kind) is Sequence
    one = get_args(kind)[0] if many else kind
    if not isinstance(one, type) or not is_dataclass(one) or one in (Identity, Actor):
        return None
    hints = get_type_hints(one)
    names = [each.name for each in fields(one)]
    types = tuple(hints[name] for name in names)
    if len(names) < 2 or any(each not in FLAT for each in types):
        return None
    row = tuple[types]  # type: ignore[valid-type]
    return _Flat(one, attrgetter(*names), list[row] if many else row, many)


def _converter() -> Converter:
    made = Converter(forbid_extra_keys=True)
    for kind in PRIMITIVES:
        made.register_structure_hook(kind, _primitive)
    made.register_structure_hook_func(_is_collection, partial(_collection, made))
    made.register_unstructure_hook(timedelta, lambda value: value // MICROSECOND)
    made.register_structure_hook(timedelta, lambda value, _: _exactly(value, int) * MICROSECOND)
    made.register_unstructure_hook(CardProfile, lambda value: value.name)
    made.register_structure_hook(CardProfile, lambda value, _: PROFILES[value])
    return made


def _is_collection(kind: object) -> bool:
    return get_origin(kind) is Collection


def _collection(converter: Converter, value: Plain, kind: object) -> list[object]:
    (each,) = get_args(kind)
    found: list[object] = converter.structure(value, list[each])  # type: ignore[valid-type]
    return found


def _primitive(value: object, kind: type) -> object:
    if issubclass(kind, Enum):  # of numbers or texts with names
        return kind(_exactly(value, int if issubclass(kind, int) else str))
    return _exactly(value, kind)


def _exactly(value: object, kind: type[T]) -> T:
    # An integer of msgpack can stand for a number that is declared as one with a fraction.
    if type(value) is int and kind is float:
        return kind(value)  # type: ignore[call-arg]
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} instead of {kind.__name__}")
    return value


def _caller(value: object, _kind: object) -> Identity:
    if value is not None:
        raise TypeError("an identity cannot be given")
    return CALLER.get()


def _actor(value: object, kind: object) -> Actor:
    return _caller(value, kind).actor


def _members(union: object) -> list[type]:
    """The classes of a union, without None."""
    return [each for each in get_args(union) if each is not type(None)]


@cache
def _unions(kind: object) -> tuple[object, ...]:
    """The unions of several dataclasses within a type."""
    found: dict[object, None] = {}
    waiting, seen = [kind], set[object]()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        waiting += get_args(each)
        if isinstance(each, type) and is_dataclass(each):
            waiting += get_type_hints(each).values()
        members = _members(each) if get_origin(each) in (Union, UnionType) else []
        if len(members) > 1 and all(map(is_dataclass, members)):
            found[each] = None
    return tuple(found)
