"""The card's administrator: authentication with the management key 9B (SP 800-73-5 part 2, 3.2.4
and appendix A), and the changes that need it.

The card does not know that key: it asks the key service for challenges, and whether an answer is
right.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from card_os import tlv
from card_os.administration import (
    AdministrationRequest,
    Administrator,
    AnswerChallenge,
    Changed,
    RequestChallenge,
)
from card_os.data_objects import parse_one, parse_unique
from card_os.keys import Exchange, KeyRequest, KeyResult, Refusal
from card_os.piv.algorithms import BLOCK_BYTES
from card_os.piv.context import Context
from card_os.piv.names import Tag
from card_os.piv.refusals import other_algorithm, refused, unexpected
from card_os.piv.security_status import Awaited
from card_os.status import SW, CardError

ANY = 0x00  # P1 for the algorithm of the management key, whichever it is; OpenSC sends it
RANDOM_BYTES = 8  # the length of a TDEA challenge
ASK_CHALLENGE = tlv.encode(Tag.DYNAMIC_AUTHENTICATION, tlv.encode(Tag.CHALLENGE))

Objects: TypeAlias = Mapping[int, bytes]
Shape: TypeAlias = frozenset[tuple[int, bool]]
Change: TypeAlias = Generator[KeyRequest, KeyResult, Changed]


def _shape(objects: Objects) -> Shape:
    """Which data objects are present, and which of them have contents."""
    return frozenset((tag, bool(value)) for tag, value in objects.items())


@dataclass(frozen=True, slots=True)
class Opening:
    """The first step of an authentication: the card gives a block and then awaits an answer."""

    tag: Tag
    enciphered: bool
    awaited: Awaited


OPENINGS: Mapping[Shape, Opening] = {
    _shape({Tag.CHALLENGE: b""}): Opening(Tag.CHALLENGE, False, Awaited.RESPONSE),
    _shape({Tag.WITNESS: b""}): Opening(Tag.WITNESS, True, Awaited.WITNESS),
}

# The last step of an authentication, and the data object that answers the card. Internal
# authentication, in which only the card enciphers, is missing on purpose: with it the card would
# answer its own challenges.
ANSWERS: Mapping[tuple[Awaited | None, Shape], Tag] = {
    (Awaited.RESPONSE, _shape({Tag.RESPONSE: b"?"})): Tag.RESPONSE,
    (Awaited.WITNESS, _shape({Tag.WITNESS: b"?", Tag.CHALLENGE: b"?"})): Tag.WITNESS,
    (
        Awaited.WITNESS,
        _shape({Tag.WITNESS: b"?", Tag.CHALLENGE: b"?", Tag.RESPONSE: b""}),
    ): Tag.WITNESS,
}


def authenticate(context: Context, algorithm: int, template: bytes) -> Exchange:
    """One step of an authentication with the management key.

    Raises 6A86 if the card has no such key or its algorithm is another (6A80 for the latter with
    the extensions, as YubiKeys do), 6700 without a template, 6A80 if the template does not fit the
    step, 6982 for a wrong answer, and for a refusal the status word in `refusals`. A failed step
    ends the administrator's authentication (part 2, 2.4.2).

    A card without that key gives challenges too, although no answer is accepted: OpenSC uses them
    as random numbers.
    """
    own = context.image.features.management_algorithm
    if own is None and algorithm == ANY and template == ASK_CHALLENGE:
        return _template(Tag.CHALLENGE, context.random(RANDOM_BYTES))
    if own is None:
        raise CardError(SW.INCORRECT_P1P2)
    if algorithm not in (own, ANY):
        raise other_algorithm(context)
    if not template:
        raise CardError(SW.WRONG_LENGTH)
    before = context.security
    # The challenge is spent, whatever the outcome.
    context.security = replace(before, awaited=None, administrator=None)
    objects = parse_unique(parse_one(Tag.DYNAMIC_AUTHENTICATION, template))
    shape = _shape(objects)
    if (opening := OPENINGS.get(shape)) is not None:
        # An administrator stays authenticated until a step fails.
        context.security = replace(before, awaited=None)
        return (yield from _open(context, own, opening))
    if (tag := ANSWERS.get((before.awaited, shape))) is not None:
        return (yield from _answer(context, own, objects[tag], objects.get(Tag.CHALLENGE, b"")))
    raise CardError(SW.WRONG_DATA, "template does not fit the authentication")


def proof(context: Context) -> bytes:
    """The administrator's proof. Raises 6982 unless the administrator is authenticated."""
    if context.security.administrator is None:
        raise CardError(SW.SECURITY_STATUS_NOT_SATISFIED, "management key is not authenticated")
    return context.security.administrator


def change(
    context: Context,
    request: AdministrationRequest,
    unknown_key: SW,
    malformed: SW = SW.WRONG_DATA,
) -> Change:
    """Ask for a change and, once it is stored, apply it to the card's image.

    Raises 6982 if the proof is no longer accepted, and for another refusal the status word in
    `refusals`.
    """
    result = yield request
    match result:
        case Changed():
            context.shared.image = context.image.after(result)
            return result
        case Refusal.PASSCODE_NEEDED:
            context.security = replace(context.security, administrator=None)
            raise CardError(SW.SECURITY_STATUS_NOT_SATISFIED, "proof is taken no more")
        case Refusal.MALFORMED:
            raise CardError(malformed, result.name)
        case Refusal():
            raise refused(result, unknown_key)
        case _:
            raise unexpected(result)


def _open(context: Context, algorithm: int, opening: Opening) -> Exchange:
    result = yield RequestChallenge(algorithm, opening.enciphered)
    match result:
        case bytes() if len(result) == BLOCK_BYTES[algorithm]:
            context.security = replace(context.security, awaited=opening.awaited)
            return _template(opening.tag, result)
        case Refusal():
            raise refused(result, SW.INCORRECT_P1P2)
        case _:
            raise unexpected(result)


def _answer(context: Context, algorithm: int, response: bytes, challenge: bytes) -> Exchange:
    size = BLOCK_BYTES[algorithm]
    if len(response) != size or len(challenge) not in (0, size):
        raise CardError(SW.WRONG_DATA, "not one cipher block")
    result = yield AnswerChallenge(algorithm, response, challenge)
    match result:
        case Administrator(proof, cryptogram) if len(cryptogram) == len(challenge):
            context.security = replace(context.security, administrator=proof)
            return _template(Tag.RESPONSE, cryptogram) if challenge else b""
        case Refusal.DENIED:
            raise CardError(SW.SECURITY_STATUS_NOT_SATISFIED, "wrong answer")
        case Refusal():
            raise refused(result, SW.INCORRECT_P1P2)
        case _:
            raise unexpected(result)


def _template(tag: Tag, value: bytes) -> bytes:
    return tlv.encode(Tag.DYNAMIC_AUTHENTICATION, tlv.encode(tag, value))
