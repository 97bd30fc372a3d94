"""Spends a one-time token for an identity in a folder, which is made whole or not at all."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import grpc
from google.protobuf.message import DecodeError

from cloudcard.enrolment.v1 import enrolment_pb2
from cloudcard.enrolment.v1.enrolment_pb2 import EnrolRequest
from cloudcard.enrolment.v1.enrolment_pb2_grpc import EnrolmentServiceStub
from cloudcard_tools.enrolment.requests import bundle, fresh_key
from cloudcard_tools.enrolment.tokens import ENROLMENT_HOST, parse_token, pinned_certificate
from cloudcard_tools.shared.calling import explained
from cloudcard_tools.shared.failures import Failure, FileExists
from cloudcard_tools.shared.identity import (
    CA,
    CERTIFICATE,
    FACTS,
    KEY,
    LARGEST_FILE,
    Identity,
    load,
    said_by,
)
from cloudcard_tools.shared.reaching import by_proxy
from private_files import rules, writing
from private_files.rules import FileRefused
from reader_bridge.remote.refusals import code

TIMEOUT_SECONDS = 10.0
ROLES = {
    enrolment_pb2.ROLE_WORKSTATION: "workstation",
    enrolment_pb2.ROLE_DEVICE: "authenticator",
    enrolment_pb2.ROLE_OPERATOR: "operator",
    enrolment_pb2.ROLE_AUDITOR: "auditor",
}
REQUEST = "request"  # of an enrolment that has not ended
FINAL = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED})

Files: TypeAlias = Mapping[str, bytes]  # of an identity's folder, by name
Complete: TypeAlias = Callable[[EnrolRequest, EnrolmentServiceStub], Files]


def nothing_more(_request: EnrolRequest, _stub: EnrolmentServiceStub) -> Files:
    """Add nothing to a request for enrolment, as most identities do."""
    return {}


def enrol(
    token_text: str,
    folder: Path,
    expected_role: str,
    device_name: str = "",
    complete: Complete = nothing_more,
) -> Identity:
    """Spend a one-time token for an identity of `expected_role` in `folder`.

    The private key is made here and never leaves the folder. `complete` can add to the request, and
    returns further files for the folder. Key and request are on the disk, in FOLDER.new, before the
    keystore is asked: if anything fails from then on, the same token gives the same identity again.
    Raises Failure if the folder already holds an identity, which is kept, if it cannot be written,
    or if the keystore refuses.
    """
    fingerprint, secret, address = parse_token(token_text)
    with _told(folder):
        if _is_of(folder, secret, expected_role):
            _end(folder)
            return load(folder)
    _check_free(folder)
    credentials = grpc.ssl_channel_credentials(pinned_certificate(address, fingerprint))
    host = ("grpc.ssl_target_name_override", ENROLMENT_HOST)
    options = (host, *said_by(expected_role), *by_proxy(address))
    draft = writing.draft_of(folder)
    with explained(), grpc.secure_channel(address, credentials, options=options) as connection:
        stub = EnrolmentServiceStub(connection)
        with _told(folder):
            request = _begun(draft, secret, expected_role)
            if request is None:
                request, files = _request(secret, expected_role, device_name, complete, stub)
                _begin(draft, request, files)
        try:
            response = stub.Enrol(request, timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            if code(error) in FINAL:
                shutil.rmtree(draft, ignore_errors=True)  # asking again would not help
            raise
    identity = Identity(
        folder,
        expected_role,
        response.id,
        response.display_name,
        response.address,
        response.request_key,
    )
    with _told(folder):
        authorities = [response.ca_certificate, *response.further_ca_certificates]
        _finish(draft, identity, response.certificate, authorities)
    return identity


def _check_free(folder: Path) -> None:
    """Raise Failure if there is an identity in the folder, or anything else."""
    remove = shlex.join(["rm", "-r", str(folder)])
    if (folder / FACTS).exists():
        raise FileExists(f"{folder} already holds an identity: to replace it, remove it ({remove})")
    if os.path.ismount(folder):
        raise Failure(f"{folder} is a mount point, which stays as it is: name a folder in it")
    with _told(folder):
        if os.path.lexists(folder):
            rules.require_folder(folder)
            if any(folder.iterdir()):
                raise FileExists(
                    f"{folder} holds other files: name another folder, or remove it ({remove})"
                )


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turn what goes wrong with files into a Failure. The token is not lost."""
    again = "the token stays good for this computer: run the same command again"
    try:
        yield
    except FileRefused as refused:
        raise Failure(f"{refused}; {again}") from None
    except OSError as error:
        raise Failure(
            f"{error.filename or folder} cannot be written ({error.strerror}): mend that; {again}"
        ) from None


def _begun(draft: Path, secret: bytes, role: str) -> EnrolRequest | None:
    """The request of an enrolment with this token that has not ended; one with another token is
    given up. None if there is none. Raises FileRefused and OSError.
    """
    if not os.path.lexists(draft):
        return None
    rules.require_folder(draft)
    if (kept := _kept(draft, secret, role)) is None:
        shutil.rmtree(draft)
    return kept


def _kept(folder: Path, secret: bytes, role: str) -> EnrolRequest | None:
    """The request in a folder, if it is one with this token. Raises FileRefused and OSError."""
    kept = EnrolRequest()
    with suppress(DecodeError):
        kept.ParseFromString(rules.read(folder / REQUEST, LARGEST_FILE) or b"")
    return kept if kept.token_secret == secret and ROLES.get(kept.role) == role else None


def _is_of(folder: Path, secret: bytes, role: str) -> bool:
    """Whether a folder has its name, but the enrolment with this token has not ended. Raises
    FileRefused and OSError.
    """
    if not (folder / FACTS).exists() or not os.path.lexists(folder / REQUEST):
        return False
    rules.require_folder(folder)
    return _kept(folder, secret, role) is not None


def _request(
    secret: bytes, role: str, device_name: str, complete: Complete, stub: EnrolmentServiceStub
) -> tuple[EnrolRequest, Files]:
    """A request for an identity, and the files with the keys that it is about."""
    key, csr = fresh_key()
    request = EnrolRequest(
        token_secret=secret,
        csr=csr,
        device_name=device_name,
        role=next(number for number, name in ROLES.items() if name == role),
    )
    return request, {KEY: key, **complete(request, stub)}


def _begin(draft: Path, request: EnrolRequest, files: Files) -> None:
    """Keep keys and request. Without the request, which is written last, nothing has begun."""
    writing.make_folder(draft)
    for name, content in {**files, REQUEST: request.SerializeToString()}.items():
        writing.write_new(draft / name, content)
    writing.sync_folder(draft)
    writing.sync_folder(draft.parent)


def _finish(
    draft: Path, identity: Identity, certificate: bytes, authorities: Sequence[bytes]
) -> None:
    """Complete the folder, and give it its name."""
    facts = asdict(identity) | {"request_key": identity.request_key.hex()}
    del facts["folder"]
    for name, content in {
        CERTIFICATE: ssl.DER_cert_to_PEM_cert(certificate).encode(),
        CA: bundle(authorities),
        FACTS: json.dumps(facts, indent=2).encode() + b"\n",
    }.items():
        writing.replace(draft / name, content)
    if sys.platform == "win32" and identity.folder.is_dir():
        identity.folder.rmdir()  # it is empty; other systems replace it
    draft.rename(identity.folder)
    _end(identity.folder)


def _end(folder: Path) -> None:
    """Forget the request, after which the token is of no use, when the folder's name is safe."""
    writing.sync_folder(folder.parent)
    (folder / REQUEST).unlink(missing_ok=True)
