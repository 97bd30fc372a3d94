"""Results of key requests as the words of a line, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from card_os.administration import Administrator, CardKey, Changed
from card_os.keys import KeyResult, Refusal, TriesLeft, Verified
from card_os.trace.words import ABSENT, TraceError, Words, flag, name, number, octets, proof, shown
from card_os.uses import PinPolicy, TouchPolicy


def write(result: KeyResult) -> str:
    """The words of a result."""
    return " ".join(_words(result))


def read(text: str) -> KeyResult:
    """The result that a line's words encode. Raises TraceError."""
    words = Words(text)
    what = words.word("a result")
    if what not in READERS:
        raise TraceError(f"{shown(what)} is not a result: use one of {', '.join(READERS)}")
    result = READERS[what](words)
    words.end()
    return result


def _words(result: KeyResult) -> tuple[str, ...]:
    match result:
        case bytes():
            return "ok", octets(result)
        case Verified(made):
            return "verified", proof(made)
        case TriesLeft(tries, most, factory):
            return "tries", str(tries), str(most), flag(factory)
        case Administrator(made, cryptogram):
            return "administrator", proof(made), octets(cryptogram)
        case Changed():
            return "changed", *_changes(result)
        case Refusal():
            return "refused", name(result)


def _changes(changed: Changed) -> Iterator[str]:
    for tag, contents in changed.objects.items():
        yield from ("object", number(tag), ABSENT if contents is None else contents.hex() or "=")
    for tag in sorted(changed.withheld):
        yield from ("withheld", number(tag))
    for key_ref, key in changed.keys.items():
        yield from ("no-key", number(key_ref)) if key is None else _key(key_ref, key)
    if changed.management_algorithm is not None:
        yield from ("management", number(changed.management_algorithm))
        if changed.factory_management_key:
            yield "factory"


def _key(key_ref: int, key: CardKey) -> tuple[str, ...]:
    policies = name(key.pin_policy), name(key.touch_policy)
    ids = number(key_ref), number(key.algorithm)
    return "key", *ids, octets(key.public), *policies, flag(key.imported)


def _read_changes(words: Words) -> Changed:
    objects: dict[int, bytes | None] = {}
    keys: dict[int, CardKey | None] = {}
    withheld: set[int] = set()
    management, factory = None, False
    while words.left:
        match words.word():
            case "object":
                tag = words.number()
                objects[tag] = _contents(words.word("the contents, - or ="))
            case "withheld":
                withheld.add(words.number())
            case "key":
                key_ref = words.number()
                keys[key_ref] = CardKey(
                    words.number(),
                    words.octets(),
                    words.member(PinPolicy),
                    words.member(TouchPolicy),
                    words.flag(),
                )
            case "no-key":
                keys[words.number()] = None
            case "management":
                management = words.number()
            case "factory":
                factory = True
            case other:
                raise TraceError(
                    f"{shown(other)} is none of object, withheld, key, no-key, management, factory"
                )
    return Changed(objects, keys, management, factory, frozenset(withheld))


def _contents(word: str) -> bytes | None:
    """The contents of an object: None if it is gone, empty if it exists without contents."""
    if word == ABSENT:
        return None
    return b"" if word == "=" else Words(word).octets()


READERS: Mapping[str, Callable[[Words], KeyResult]] = {
    "ok": lambda w: w.octets(),
    "verified": lambda w: Verified(w.proof()),
    "tries": lambda w: TriesLeft(w.decimal(), w.decimal(), w.flag()),
    "administrator": lambda w: Administrator(w.proof(), w.octets()),
    "changed": _read_changes,
    "refused": lambda w: w.member(Refusal),
}
