"""Where a card's PUK counts: the holder's phone, and workstations unless a policy refuses it."""

from __future__ import annotations

from sqlalchemy import Connection

from card_os.piv.names import KeyRef
from cloud_keystore.model.cards import Card
from cloud_keystore.model.errors import PukRefused
from cloud_keystore.storage import policies


def check_workstation(connection: Connection, card: Card, key_ref: int) -> None:
    """Raise PukRefused for a PUK that was given at a workstation, if the card's policy wants the
    holder's phone for another PIN.
    """
    if key_ref != KeyRef.PUK:
        return
    if policies.in_force(connection, card.organisation_id, card.profile).policy.refuses_puk:
        raise PukRefused(
            "no PUK is taken at workstations here: choose another passcode on your phone "
            f"(cloudcard authenticator passcode {card.serial} --puk), or ask your registration "
            "authority for an unlock code"
        )
