"""What is left to do for a card that is not complete, or that an external authority certifies."""

from __future__ import annotations

from cryptography import x509

from cloudcard.registry.v1 import cards_pb2 as pb

NEXT = {
    pb.CARD_STATE_FAILED: "cloudcard ra card resume {card}, or cancel",
    pb.CARD_STATE_ISSUING: "wait a minute; if it stays so: cloudcard ra card resume {card}",
}
LINKS = {
    "cause": "Cause",
    "next": "Next step",
    "replaces": "Replaces",
    "replaced_by": "Replaced by",
    "external_issuer": "Certified by",
}
BRING = "have its keys certified: cloudcard ra card requests export FOLDER, and import"


def next_step(message: pb.Card) -> str:
    """What completes a card; empty if it is complete."""
    waits = message.state == pb.CARD_STATE_ISSUING and message.external_issuer
    return BRING if waits else NEXT.get(message.state, "").format(card=message.serial)


def elsewhere(message: pb.Card) -> str:
    """What to tell the authority of a card that is out of use, or back."""
    numbers = ", ".join(
        f"{key.key_ref:02X} {x509.load_der_x509_certificate(key.certificate).serial_number:x}"
        for key in message.keys
        if key.certificate
    )
    return (
        "The keystore's revocation lists and answers do not know its certificates: tell "
        f"{message.external_issuer} what has changed. They have the serial numbers "
        f"{numbers or 'that it has given out'}."
    )
