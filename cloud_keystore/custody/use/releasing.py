"""Uses a key for what has been approved, and gives out only results that it may give out."""

from __future__ import annotations

from collections.abc import Sequence

from card_os.uses import KeyUse
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.use import padding
from cloud_keystore.model.cards import HeldKey


def use(custody: Keys, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
    """Use a key once on each input, which `padding.check` has accepted.

    Raises ResultWithheld if one of the results must not leave, and what `Keys.use` raises.
    """
    made = custody.use(key, key_use, inputs)
    for each in made:
        padding.check_release(key_use, key.algorithm, each)
    return made
