"""Key requests as the words of a line, and back.

A request's identifier is left out, because the card makes it from its random source and the trace
holds the seed. A secret is written as one asterisk for each byte, and a proof by the name that
`redaction` gave it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from card_os.administration import (
    AnswerChallenge,
    AttestKey,
    GenerateKey,
    ImportKey,
    MoveKey,
    RequestChallenge,
    ResetCard,
    SetManagementKey,
    SetTries,
    WriteObject,
)
from card_os.keys import (
    ApplicationRequest,
    ChangePasscode,
    KeyRequest,
    PasscodeStatus,
    ReadObject,
    ResetPasscode,
    UseKey,
    VerifyPasscode,
)
from card_os.trace.words import (
    ABSENT,
    TraceError,
    Words,
    flag,
    name,
    number,
    octets,
    proof,
    secret,
    shown,
)
from card_os.uses import KeyUse, PinPolicy, TouchPolicy

NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TracedRequest(ApplicationRequest):
    """A request of an application's own type, as it is read from a trace."""

    name: str
    values: tuple[bytes, ...]

    def told(self) -> tuple[bytes, ...]:
        """The values in the trace."""
        return self.values


def write(request: KeyRequest) -> str:
    """The words of a request. Raises ValueError if an application's own name for it is invalid."""
    return " ".join(_words(request))


def read(text: str) -> KeyRequest:
    """The request that a line's words encode. Raises TraceError."""
    words = Words(text)
    what = words.word("what the card asks for")
    if what not in READERS:
        raise TraceError(f"{shown(what)} is not a request: use one of {', '.join(READERS)}")
    request = READERS[what](words)
    words.end()
    return request


def _words(request: KeyRequest) -> tuple[str, ...]:
    match request:
        case UseKey(_, use, key_ref, algorithm, data, with_proof):
            ids = number(key_ref), number(algorithm)
            return "use", name(use), *ids, octets(data), proof(with_proof)
        case PasscodeStatus(_, key_ref):
            return "status", number(key_ref)
        case VerifyPasscode(_, key_ref, passcode):
            return "verify", number(key_ref), secret(passcode)
        case ChangePasscode(_, key_ref, old, new):
            return "change", number(key_ref), secret(old), secret(new)
        case ResetPasscode(_, key_ref, puk, new):
            return "unblock", number(key_ref), secret(puk), secret(new)
        case ReadObject(with_proof, tag):
            return "read", proof(with_proof), number(tag)
        case RequestChallenge(algorithm, enciphered):
            return "challenge", number(algorithm), flag(enciphered)
        case AnswerChallenge(algorithm, response, challenge):
            return "answer", number(algorithm), octets(response), octets(challenge)
        case WriteObject(with_proof, tag, contents):
            return "write", proof(with_proof), number(tag), octets(contents)
        case GenerateKey(with_proof, key_ref, algorithm, pin, touch):
            ids = number(key_ref), number(algorithm)
            return "generate", proof(with_proof), *ids, name(pin), name(touch)
        case ImportKey(with_proof, key_ref, algorithm, private, pin, touch):
            ids = number(key_ref), number(algorithm)
            return "import", proof(with_proof), *ids, secret(private), name(pin), name(touch)
        case MoveKey(with_proof, source, destination):
            to = ABSENT if destination is None else number(destination)
            return "move", proof(with_proof), number(source), to
        case SetManagementKey(with_proof, algorithm, key):
            return "set-management-key", proof(with_proof), number(algorithm), secret(key)
        case SetTries(with_proof, passcode_proof, pin_tries, puk_tries):
            proofs = proof(with_proof), proof(passcode_proof)
            return "set-tries", *proofs, str(pin_tries), str(puk_tries)
        case ResetCard():
            return ("reset-card",)
        case AttestKey(key_ref):
            return "attest", number(key_ref)
        case ApplicationRequest():
            if not NAME.fullmatch(request.name):
                raise ValueError(
                    f"{request.name!r} is not a name of a request: use lower-case letters, digits, "
                    "hyphens and dots"
                )
            return "own", request.name, *map(octets, request.told())


READERS: Mapping[str, Callable[[Words], KeyRequest]] = {
    "use": lambda w: UseKey(b"", w.member(KeyUse), w.number(), w.number(), w.octets(), w.proof()),
    "status": lambda w: PasscodeStatus(b"", w.number()),
    "verify": lambda w: VerifyPasscode(b"", w.number(), w.secret()),
    "change": lambda w: ChangePasscode(b"", w.number(), w.secret(), w.secret()),
    "unblock": lambda w: ResetPasscode(b"", w.number(), w.secret(), w.secret()),
    "read": lambda w: ReadObject(w.proof(), w.number()),
    "challenge": lambda w: RequestChallenge(w.number(), w.flag()),
    "answer": lambda w: AnswerChallenge(w.number(), w.octets(), w.octets()),
    "write": lambda w: WriteObject(w.proof(), w.number(), w.octets()),
    "generate": lambda w: GenerateKey(
        w.proof(), w.number(), w.number(), w.member(PinPolicy), w.member(TouchPolicy)
    ),
    "import": lambda w: ImportKey(
        w.proof(),
        w.number(),
        w.number(),
        w.secret(),
        w.member(PinPolicy),
        w.member(TouchPolicy),
    ),
    "move": lambda w: MoveKey(w.proof(), w.number(), _destination(w)),
    "set-management-key": lambda w: SetManagementKey(w.proof(), w.number(), w.secret()),
    "set-tries": lambda w: SetTries(w.proof(), w.proof(), w.decimal(), w.decimal()),
    "reset-card": lambda _: ResetCard(),
    "attest": lambda w: AttestKey(w.number()),
    "own": lambda w: TracedRequest(_name(w), tuple(_values(w))),
}


def _name(words: Words) -> str:
    word = words.word("the name of a request")
    if not NAME.fullmatch(word):
        raise TraceError(f"{shown(word)} is not a name of a request")
    return word


def _values(words: Words) -> Iterator[bytes]:
    while words.left:
        yield words.octets()


def _destination(words: Words) -> int | None:
    word = words.word("a key reference, or -")
    return None if word == ABSENT else Words(word).number()
