"""Checks registrations and assertions of passkeys (WebAuthn level 3). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import (
    bytes_to_base64url,
    parse_authenticator_data,
    parse_backup_flags,
    parse_client_data_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    CredentialDeviceType,
    RegistrationCredential,
)

from cloud_keystore.approval.attestation import attested_model
from cloud_keystore.model.approval_keys import Passkey, RelyingParty
from cloud_keystore.model.errors import ApprovalRejected, InvalidInput
from cloud_keystore.model.operations import Assertion

ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,  # of the TPMs that Windows uses
]
LARGEST_CLIENT_DATA = 4096
LARGEST_AUTHENTICATOR_DATA = 1024
LARGEST_ATTESTATION = 16 * 1024
LARGEST_SIGNATURE = 1024
LARGEST_CREDENTIAL_ID = 1023  # WebAuthn level 3, 4 ("Credential ID")
MOST_TRANSPORTS = 8
LONGEST_TRANSPORT = 32
LONGEST_REASON = 200

# Besides its own errors, the library raises those of the decoders that it calls.
MALFORMED = (
    *(WebAuthnException, InvalidSignature, UnsupportedAlgorithm, RecursionError),
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
)


@dataclass(frozen=True, slots=True)
class Registration:
    """What navigator.credentials.create() returned (5.2.1)."""

    attestation_object: bytes
    client_data: bytes
    transports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What an authenticator says about its credential when it is used (6.1)."""

    sign_count: int
    backup_eligible: bool
    backed_up: bool


def register(
    registration: Registration,
    challenge: bytes,
    relying_party: RelyingParty,
    roots: Sequence[bytes] = (),
) -> Passkey:
    """Check a registration that answers this challenge, and return its passkey (7.1).

    An attestation is not required, but is checked if there is one; the passkey says what it
    attests under one of the roots (PEM). Raises InvalidInput.
    """
    if (
        len(registration.attestation_object) > LARGEST_ATTESTATION
        or len(registration.client_data) > LARGEST_CLIENT_DATA
    ):
        raise InvalidInput("passkey is larger than a registration can be: make it again")
    transports = registration.transports
    if len(transports) > MOST_TRANSPORTS or not all(
        each.isascii() and each.replace("-", "").isalnum() and len(each) <= LONGEST_TRANSPORT
        for each in transports
    ):
        raise InvalidInput("passkey has transports that WebAuthn does not define")
    try:
        _same_origin(registration.client_data)
        verified = verify_registration_response(
            credential=RegistrationCredential(
                id="",
                raw_id=b"",
                response=AuthenticatorAttestationResponse(
                    client_data_json=registration.client_data,
                    attestation_object=registration.attestation_object,
                ),
            ),
            expected_challenge=challenge,
            expected_rp_id=relying_party.id,
            expected_origin=relying_party.origin,
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
        model = attested_model(registration.attestation_object, roots)
    except MALFORMED as error:
        raise InvalidInput(f"passkey is refused: {_reason(error)}") from None
    if len(verified.credential_id) > LARGEST_CREDENTIAL_ID:
        raise InvalidInput("passkey has a credential id that is too long")
    return Passkey(
        public_key=verified.credential_public_key,
        credential_id=verified.credential_id,
        relying_party=relying_party,
        sign_count=verified.sign_count,
        backup_eligible=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        backed_up=verified.credential_backed_up,
        transports=transports,
        attested_model=model,
    )


def verify(passkey: Passkey, challenge: bytes, assertion: Assertion, signature: bytes) -> None:
    """Check that the passkey has answered this challenge and has verified its holder (7.2).

    The counter is not checked here: see `usage`. Raises ApprovalRejected.
    """
    if (
        len(assertion.client_data) > LARGEST_CLIENT_DATA
        or len(assertion.authenticator_data) > LARGEST_AUTHENTICATOR_DATA
        or len(signature) > LARGEST_SIGNATURE
    ):
        raise ApprovalRejected("the passkey's answer is larger than it can be: approve again")
    try:
        _same_origin(assertion.client_data)
        verify_authentication_response(
            credential=AuthenticationCredential(
                id=bytes_to_base64url(passkey.credential_id),
                raw_id=passkey.credential_id,
                response=AuthenticatorAssertionResponse(
                    client_data_json=assertion.client_data,
                    authenticator_data=assertion.authenticator_data,
                    signature=signature,
                ),
            ),
            expected_challenge=challenge,
            expected_rp_id=passkey.relying_party.id,
            expected_origin=passkey.relying_party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except MALFORMED as error:
        raise ApprovalRejected(f"the passkey's answer is refused: {_reason(error)}") from None
    if usage(assertion).backup_eligible != passkey.backup_eligible:  # 7.2, step 18
        raise ApprovalRejected("the passkey has become another one: enrol the device again")


def usage(assertion: Assertion) -> Usage:
    """Return what the authenticator says in an assertion; raises ApprovalRejected if it cannot be
    read.
    """
    try:
        parsed = parse_authenticator_data(assertion.authenticator_data)
        backup = parse_backup_flags(parsed.flags)
    except MALFORMED:
        raise ApprovalRejected("the passkey's answer cannot be read") from None
    return Usage(
        sign_count=parsed.sign_count,
        backup_eligible=backup.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        backed_up=backup.credential_backed_up,
    )


def _same_origin(client_data: bytes) -> None:
    """Raise ValueError if the page was embedded in one of another origin (5.8.1, "crossOrigin")."""
    if parse_client_data_json(client_data).cross_origin:
        raise ValueError("it was asked for by a page inside another one")


def _reason(error: Exception) -> str:
    """Return the text of the library's own errors; those of decoders would not help people."""
    return (
        str(error)[:LONGEST_REASON] if isinstance(error, WebAuthnException) else "it cannot be read"
    )
