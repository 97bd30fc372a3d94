"""What a stored change makes of the card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from card_os.management import Changed
from card_os.piv.image import CardImage
from card_os.piv.names import KeyRef

Value = TypeVar("Value")


def apply(image: CardImage, changed: Changed) -> CardImage:
    """The card after the change. Raises ValueError for what no PIV card has."""
    features = image.features
    if changed.management_algorithm is not None:
        features = replace(features, management_algorithm=changed.management_algorithm)
    keys = _merged(image.keys, changed.keys)
    has_secure_messaging = KeyRef.SECURE_MESSAGING in keys
    return replace(
        image,
        objects=_merged(image.objects, changed.objects),
        keys=keys,
        features=features,
        verifiable_certificate=image.verifiable_certificate if has_secure_messaging else b"",
    )


def _merged(
    before: Mapping[int, Value], changed: Mapping[int, Value | None]
) -> Mapping[int, Value]:
    after: Mapping[int, Value | None] = {**before, **changed}
    return {number: value for number, value in after.items() if value is not None}
