"""What pages and their scripts say to each other about passkeys."""

from __future__ import annotations

from cloud_keystore.approval.passkeys import Registration
from cloud_keystore.model.errors import TokenRejected
from cloud_keystore.people.portal.passkeys import AskedPasskeys
from cloud_keystore.people.rights.log_in_passkeys import Asked, AskedNew, PasskeyAnswer
from cloud_keystore.web.proofs import ProofRejected, decoded, encoded
from cloud_keystore.web.visiting import given


def said_of(asked: Asked) -> dict[str, object]:
    """What a script is to ask the authenticator for."""
    return {
        "challenge": encoded(asked.challenge),
        "rp_id": asked.rp_id,
        "origin": asked.origin,
    }


def said_of_allowed(wanted: AskedPasskeys) -> dict[str, object]:
    """The same, and which passkeys can answer."""
    return {**said_of(wanted.asked), "allowed": [encoded(each) for each in wanted.allowed]}


def said_of_new(wanted: AskedNew) -> dict[str, object]:
    """What a script is to let the authenticator make."""
    return {
        **said_of(wanted.asked),
        "user_handle": encoded(wanted.user_handle),
        "name": wanted.name,
        "present": [encoded(each) for each in wanted.present],
    }


def given_answer() -> PasskeyAnswer:
    """What a passkey has answered, of the form that was sent; raises TokenRejected."""
    return PasskeyAnswer(
        challenge=given_bytes("challenge"),
        credential_id=given_bytes("credential_id"),
        user_handle=given_bytes("user_handle"),
        authenticator_data=given_bytes("authenticator_data"),
        client_data=given_bytes("client_data"),
        signature=given_bytes("signature"),
    )


def given_new() -> Registration:
    """The passkey that was made, of the form that was sent; raises TokenRejected."""
    return Registration(given_bytes("attestation_object"), given_bytes("client_data"))


def given_bytes(name: str) -> bytes:
    """Bytes of the form that was sent; raises TokenRejected for what is no base64url."""
    try:
        return decoded(given(name))
    except ProofRejected:
        raise TokenRejected(
            "your browser sent something that cannot be read: load the page again"
        ) from None
