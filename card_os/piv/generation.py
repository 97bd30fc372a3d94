"""GENERATE ASYMMETRIC KEY PAIR (SP 800-73-5 part 2, 3.3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from card_os import tlv
from card_os.administration import CardKey, GenerateKey
from card_os.apdu import Command
from card_os.data_objects import parse_one, parse_unique
from card_os.keys import Exchange
from card_os.piv import access, administrator
from card_os.piv.algorithms import MODULUS_BYTES, PUBLIC_EXPONENT
from card_os.piv.context import Context
from card_os.piv.names import CERTIFICATE_OF_KEY, RETIRED, KeyRef, MechanismTag, Tag
from card_os.piv.refusals import unexpected
from card_os.status import SW, CardError
from card_os.uses import PinPolicy, TouchPolicy

POLICY_TAGS = (MechanismTag.PIN_POLICY, MechanismTag.TOUCH_POLICY)
DEFAULT = b"\0"  # of both policies

Policy = TypeVar("Policy", PinPolicy, TouchPolicy)


@dataclass(frozen=True, slots=True)
class GenerateKeyPair:
    """GENERATE ASYMMETRIC KEY PAIR. Its data is checked after the administrator, so that others do
    not learn what is wrong with it.
    """

    key_ref: int
    data: bytes = field(repr=False)

    @classmethod
    def parse(cls, command: Command) -> GenerateKeyPair:
        """Raises 6A86 if P1 is wrong or P2 is not an asymmetric key."""
        if command.p1 != 0x00:
            raise CardError(SW.INCORRECT_P1P2)
        if command.p2 not in CERTIFICATE_OF_KEY and command.p2 != KeyRef.SECURE_MESSAGING:
            raise CardError(SW.INCORRECT_P1P2)
        return cls(command.p2, command.data)


def generate_key_pair(context: Context, command: GenerateKeyPair) -> Exchange:
    """Ask for a new key and return its public part.

    Raises 6982 unless the administrator is authenticated; 6A81 for key 04, which only the issuer
    makes; 6A80 for a malformed template, or a mechanism that the card does not have; 6A86 for a
    mechanism that the key reference does not allow, and for retired keys without the extensions.
    """
    proof = administrator.proof(context)
    key_ref, features = command.key_ref, context.image.features
    if key_ref == KeyRef.SECURE_MESSAGING:
        raise CardError(SW.FUNCTION_NOT_SUPPORTED)
    if key_ref in RETIRED and not features.extensions:
        raise CardError(SW.INCORRECT_P1P2)
    algorithm, objects = _template(command.data)
    pin_policy, touch_policy = policies(context, objects)
    check_algorithm(context, key_ref, algorithm)
    request = GenerateKey(proof, key_ref, algorithm, pin_policy, touch_policy)
    changed = yield from administrator.change(context, request, SW.INCORRECT_P1P2)
    match changed.keys.get(key_ref):
        case CardKey(public=public) if public:
            return tlv.encode(Tag.PUBLIC_KEY, public)
        case _:
            raise unexpected(changed)


def check_algorithm(
    context: Context, key_ref: int, algorithm: int, unknown: SW = SW.WRONG_DATA
) -> None:
    """Raise `unknown` for an algorithm that the card does not have, and 6A86 for one that the key
    reference does not allow.
    """
    features = context.image.features
    if algorithm not in features.algorithms:
        raise CardError(unknown, "no such mechanism")
    if not access.exists(key_ref, algorithm, extensions=features.extensions):
        raise CardError(SW.INCORRECT_P1P2, "not for this key reference")


def policies(context: Context, objects: Mapping[int, bytes]) -> tuple[PinPolicy, TouchPolicy]:
    """The policies among these data objects. Raises 6A80 for an unknown policy, and for any policy
    on a card without the extensions.
    """
    if not context.image.features.extensions and any(tag in objects for tag in POLICY_TAGS):
        raise CardError(SW.WRONG_DATA, "no policies without extensions")
    pin_policy, touch_policy = (objects.get(tag, DEFAULT) for tag in POLICY_TAGS)
    return _policy(PinPolicy, pin_policy), _policy(TouchPolicy, touch_policy)


def _policy(kind: type[Policy], coded: bytes) -> Policy:
    """The policy that a byte encodes. Raises 6A80 for an unknown one."""
    try:
        (value,) = coded
        return kind(value)
    except ValueError as error:
        raise CardError(SW.WRONG_DATA, "no such policy") from error


def _template(data: bytes) -> tuple[int, Mapping[int, bytes]]:
    """The mechanism in a control reference template, and all its data objects.

    Raises 6A80 if the template is malformed.
    """
    objects = parse_unique(parse_one(Tag.CONTROL_REFERENCE, data))
    mechanism = objects.get(MechanismTag.MECHANISM, b"")
    if (
        len(mechanism) != 1
        or not objects.keys() <= {MechanismTag.MECHANISM, MechanismTag.PARAMETER, *POLICY_TAGS}
        or not _parameter_fits(mechanism[0], objects.get(MechanismTag.PARAMETER))
    ):
        raise CardError(SW.WRONG_DATA, "template does not name a key")
    return mechanism[0], objects


def _parameter_fits(mechanism: int, parameter: bytes | None) -> bool:
    """Whether the parameter is absent, or is RSA's public exponent (part 1, table 6)."""
    if parameter is None:
        return True
    return mechanism in MODULUS_BYTES and int.from_bytes(parameter) == PUBLIC_EXPONENT
