"""A process that talks to one PKCS#11 token, one request at a time.

PKCS#11 modules and their Python binding crash when threads share them. So each worker is a process
with one thread. It ends when the other end of its pipe is closed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Protocol, TypeAlias, cast

import pkcs11
from pkcs11 import KDF, Attribute, GCMParams, KeyType, Mechanism, ObjectClass, exceptions
from pkcs11.util.ec import (
    encode_ec_public_key,
    encode_ecdsa_signature,
    encode_named_curve_parameters,
)
from pkcs11.util.rsa import encode_rsa_public_key

from card_os.piv.algorithms import FIELD_BYTES, MODULUS_BYTES
from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.hardening import harden
from private_keys import keys
from private_keys.using import fit_digest

CURVES = {algorithm: curve.name for algorithm, curve in keys.CURVES.items()}
NONCE_BYTES = 12
WRAPPED_FOR = b"cloudcard sealing key"
PIN_ERRORS = (
    exceptions.PinIncorrect,
    exceptions.PinInvalid,
    exceptions.PinLenRange,
    exceptions.PinExpired,
    exceptions.PinLocked,
    exceptions.UserPinNotInitialized,
)
INPUT_ERRORS = (
    exceptions.DataInvalid,
    exceptions.DataLenRange,
    exceptions.EncryptedDataInvalid,
    exceptions.EncryptedDataLenRange,
    exceptions.MechanismParamInvalid,
    exceptions.PublicKeyInvalid,
)

# The first part of a worker's answer is one of these words; the second is a result or a text.
DONE, REFUSED, NO_KEY, PIN, GONE = "done", "refused", "no key", "pin", "gone"
NO_LIBRARY = "no library"

Result: TypeAlias = bytes | list[bytes]
Request: TypeAlias = tuple[str, tuple[object, ...]]


class TokenKey(Protocol):
    """The methods of a token's private key, as far as its mechanisms allow."""

    def sign(self, data: bytes, *, mechanism: Mechanism) -> bytes:
        """C_Sign."""

    def decrypt(self, data: bytes, *, mechanism: Mechanism) -> bytes:
        """C_Decrypt."""

    def derive_key(
        self,
        key_type: KeyType,
        key_length: int,
        *,
        mechanism: Mechanism,
        mechanism_param: tuple[KDF, None, bytes],
        template: Mapping[Attribute, bool],
    ) -> pkcs11.SecretKey:
        """C_DeriveKey."""


class WrappingKey(Protocol):
    """The methods of a token's secret key."""

    def encrypt(self, data: bytes, *, mechanism: Mechanism, mechanism_param: GCMParams) -> bytes:
        """C_Encrypt."""

    def decrypt(self, data: bytes, *, mechanism: Mechanism, mechanism_param: GCMParams) -> bytes:
        """C_Decrypt."""


@dataclass(frozen=True, slots=True)
class TokenAddress:
    """A token and its PIN. `realm` is the label of the keys of one keystore."""

    module: str
    token: str
    realm: str
    pin: str = field(repr=False)


def work(connection: Connection, address: TokenAddress) -> None:
    """Answer requests until the pipe is closed."""
    # Ctrl-C goes to the whole process group, but the service decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    harden()
    try:
        session = _log_in(address)
    except PIN_ERRORS as error:
        connection.send((PIN, type(error).__name__))
        return
    except (exceptions.PKCS11Error, RuntimeError, OSError) as error:
        # What a library answers has a class of its own.
        loaded = (
            isinstance(error, exceptions.PKCS11Error) and type(error) is not exceptions.PKCS11Error
        )
        word = GONE if loaded else NO_LIBRARY
        connection.send((word, f"{type(error).__name__} {error}".strip()))
        return
    connection.send((DONE, b""))
    while True:
        try:
            name, arguments = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: tuple[str, Result | str] = (DONE, HANDLERS[name](session, address, *arguments))
        except exceptions.NoSuchKey:
            answer = (NO_KEY, "")
        except INPUT_ERRORS as error:
            answer = (REFUSED, type(error).__name__)
        except exceptions.PKCS11Error as error:
            answer = (GONE, type(error).__name__)
        connection.send(answer)


def _log_in(address: TokenAddress) -> pkcs11.Session:
    token = pkcs11.lib(address.module).get_token(token_label=address.token)
    return token.open(rw=True, user_pin=address.pin)


def _make(
    session: pkcs11.Session, address: TokenAddress, handle: bytes, algorithm: Algorithm
) -> bytes:
    """Make a key pair that stays in the token; return its SubjectPublicKeyInfo."""
    private = {
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.MODIFIABLE: False,
        Attribute.SIGN: True,
        Attribute.DECRYPT: algorithm in MODULUS_BYTES,
        Attribute.DERIVE: algorithm in FIELD_BYTES,
    }
    if algorithm in MODULUS_BYTES:
        public, _ = session.generate_keypair(
            KeyType.RSA,
            MODULUS_BYTES[algorithm] * 8,
            id=handle,
            label=address.realm,
            store=True,
            private_template=private,
        )
        return encode_rsa_public_key(public)
    curve = {Attribute.EC_PARAMS: encode_named_curve_parameters(CURVES[algorithm])}
    parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
    public, _ = parameters.generate_keypair(
        id=handle, label=address.realm, store=True, private_template=private
    )
    return encode_ec_public_key(public)


def _use(
    session: pkcs11.Session,
    address: TokenAddress,
    handle: bytes,
    algorithm: Algorithm,
    key_use: KeyUse,
    inputs: list[bytes],
) -> list[bytes]:
    key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, id=handle, label=address.realm)
    usable = cast("TokenKey", key)
    return [_use_once(usable, algorithm, key_use, data) for data in inputs]


def _use_once(key: TokenKey, algorithm: Algorithm, key_use: KeyUse, data: bytes) -> bytes:
    if algorithm in MODULUS_BYTES:
        if key_use is KeyUse.SIGN:
            return bytes(key.sign(data, mechanism=Mechanism.RSA_X_509))
        return bytes(key.decrypt(data, mechanism=Mechanism.RSA_X_509)).rjust(len(data), b"\0")
    size = FIELD_BYTES[algorithm]
    if key_use is KeyUse.SIGN:
        fitted = fit_digest(data, size)
        return encode_ecdsa_signature(key.sign(fitted, mechanism=Mechanism.ECDSA))
    secret = key.derive_key(
        KeyType.GENERIC_SECRET,
        size * 8,
        mechanism=Mechanism.ECDH1_DERIVE,
        mechanism_param=(KDF.NULL, None, data),
        template={
            Attribute.TOKEN: False,
            Attribute.SENSITIVE: False,
            Attribute.EXTRACTABLE: True,
        },
    )
    try:
        return bytes(secret[Attribute.VALUE])
    finally:
        secret.destroy()


def _destroy(session: pkcs11.Session, address: TokenAddress, handle: bytes) -> bytes:
    """Destroy private and public key; does nothing if they are gone."""
    wanted = {Attribute.ID: handle, Attribute.LABEL: address.realm}
    for each in list(session.get_objects(wanted)):
        each.destroy()
    return b""


def _handles(session: pkcs11.Session, address: TokenAddress) -> list[bytes]:
    """Return the identifiers of this keystore's private keys in the token."""
    wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: address.realm}
    return [bytes(each[Attribute.ID]) for each in session.get_objects(wanted)]


def _wrap(session: pkcs11.Session, _address: TokenAddress, name: str, secret: bytes) -> bytes:
    """Encrypt `secret` under the token's key of this name, which is made if it is missing. Returns
    nonce and ciphertext.
    """
    try:
        key = session.get_key(object_class=ObjectClass.SECRET_KEY, label=name)
    except exceptions.NoSuchKey:
        key = session.generate_key(
            KeyType.AES,
            256,
            label=name,
            store=True,
            template={
                Attribute.SENSITIVE: True,
                Attribute.EXTRACTABLE: False,
                Attribute.PRIVATE: True,
            },
        )
    nonce = session.generate_random(NONCE_BYTES * 8)
    wrapping = cast("WrappingKey", key)
    return nonce + wrapping.encrypt(
        secret, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, WRAPPED_FOR)
    )


def _unwrap(session: pkcs11.Session, _address: TokenAddress, name: str, wrapped: bytes) -> bytes:
    """Decrypt a secret that `_wrap` has encrypted."""
    found = session.get_key(object_class=ObjectClass.SECRET_KEY, label=name)
    parameters = GCMParams(wrapped[:NONCE_BYTES], WRAPPED_FOR)
    try:
        return cast("WrappingKey", found).decrypt(
            wrapped[NONCE_BYTES:], mechanism=Mechanism.AES_GCM, mechanism_param=parameters
        )
    # SoftHSM reports a wrong authentication tag in this way.
    except exceptions.GeneralError:
        raise exceptions.EncryptedDataInvalid from None


HANDLERS: Mapping[str, Callable[..., Result]] = {
    "make": _make,
    "use": _use,
    "destroy": _destroy,
    "handles": _handles,
    "wrap": _wrap,
    "unwrap": _unwrap,
}
