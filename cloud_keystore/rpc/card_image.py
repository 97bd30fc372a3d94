"""Cards as messages to readers: a whole card, or what has changed on it."""

from __future__ import annotations

from collections.abc import Iterator

from card_os.piv.names import KeyRef
from card_os.piv.rules import PIN_OBJECTS
from card_os.uses import PinPolicy
from cloud_keystore.approval.payload import terms
from cloud_keystore.cards.images import CardImage
from cloud_keystore.cards.renewal import Changes
from cloud_keystore.custody.use.commitment import asks_for_pin, commits
from cloud_keystore.model.cards import Key
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.profiles import CardProfile
from cloud_keystore.pki import public_keys
from cloudcard.administration.v1 import administration_pb2
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb


def card(image: CardImage) -> pb.Card:
    """A whole card."""
    message = pb.Card(
        serial=image.card.serial,
        guid=image.card.guid,
        objects=[pb.DataObject(tag=tag, value=value) for tag, value in image.objects.items()],
        keys=[_under(image.policy, key) for key in image.keys],
        features=features(image.profile),
        session_offers=[*_offers(image)],
        factory_management_key=image.factory_management_key,
        withheld_objects=sorted(image.withheld),
    )
    message.features.management_algorithm = image.management or 0
    if image.secure_messaging is not None and image.cipher_suite is not None:
        message.secure_messaging.cipher_suite = image.cipher_suite
        message.secure_messaging.certificate = image.secure_messaging.certificate
    return message


def changes(made: Changes) -> administration_pb2.Changes:
    """What has changed on a card, without key 04, which readers get only with the whole card, and
    without the contents of objects that require the PIN.
    """
    new = {tag: value for tag, value in made.objects.items() if value is not None}
    keys = {ref: key for ref, key in made.keys.items() if ref != KeyRef.SECURE_MESSAGING}
    return administration_pb2.Changes(
        objects=[
            pb.DataObject(tag=tag, value=value)
            for tag, value in new.items()
            if tag not in PIN_OBJECTS
        ],
        removed_objects=[tag for tag, value in made.objects.items() if value is None],
        keys=[_key(key) for key in keys.values() if key is not None],
        removed_keys=[key_ref for key_ref, key in keys.items() if key is None],
        management_algorithm=made.management or 0,
        factory_management_key=made.factory_management_key,
        withheld_objects=sorted(PIN_OBJECTS.intersection(new)),
    )


def features(profile: CardProfile) -> pb.Features:
    """The features that a card profile switches on, for readers and operators."""
    return pb.Features(
        algorithms=[approval_pb2.Algorithm.ValueType(each) for each in sorted(profile.algorithms)],
        management_algorithm=profile.management or 0,
        global_pin=profile.global_pin,
        extensions=profile.extensions,
    )


def _under(policy: Policy, key: Key) -> pb.CardKey:
    """A key under the policy: if that is passwordless, only a key that commits its holder asks for
    a passcode, which it always does.
    """
    message = _key(key)
    if policy.passwordless and not commits(key):
        message.pin_policy = PinPolicy.NEVER
    elif key.pin_policy is PinPolicy.NEVER:
        message.pin_policy = asks_for_pin(key)
    return message


def _offers(image: CardImage) -> Iterator[pb.SessionOffer]:
    """The sessions that can be asked for, with the largest terms that the policy allows; those of
    the authentication key come first.
    """
    if image.policy.session is None:
        return
    for key in sorted(
        image.keys, key=lambda key: (key.key_ref != KeyRef.AUTHENTICATION, key.key_ref)
    ):
        if not commits(key):
            for use in sorted(image.profile.allowed_uses(key.key_ref, key.algorithm)):
                yield pb.SessionOffer(
                    key_ref=key.key_ref,
                    key_use=approval_pb2.KeyUse.ValueType(use),
                    terms=terms(image.policy.session),
                )


def _key(key: Key) -> pb.CardKey:
    return pb.CardKey(
        key_ref=key.key_ref,
        algorithm=approval_pb2.Algorithm.ValueType(key.algorithm),
        public_key=public_keys.template(key.public_key),
        pin_policy=key.pin_policy,
        touch_policy=key.touch_policy,
        imported=key.imported,
    )
