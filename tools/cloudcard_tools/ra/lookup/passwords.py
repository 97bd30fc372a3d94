"""Operators' passwords at directories: in private files beside their identity, each for one server
alone.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from cloud_keystore.model.lookups.directories import AccountDirectory
from cloudcard_tools.shared.failures import Failure
from private_files import rules, writing
from private_files.rules import FileRefused

FOLDER = "directories"
LONGEST_PASSWORD = 200  # bytes


class NoPassword(Failure):
    """The password is not kept on this computer."""

    reason = "NO_DIRECTORY_PASSWORD"


def path_of(identity: Path, directory: AccountDirectory) -> Path:
    """The file of the password at a directory. Whoever says at the keystore that the directory is
    elsewhere, or known by other certificates, gets no password: it is for what it was given for.
    """
    place = (directory.url.encode(), directory.bind_dn.encode(), directory.anchors)
    named = b"".join(sha256(each).digest() for each in place)
    return identity / FOLDER / sha256(named).hexdigest()[:32]


def read(identity: Path, directory: AccountDirectory) -> str:
    """The password at a directory. Raises NoPassword, Failure."""
    path = path_of(identity, directory)
    try:
        found = rules.read(path, LONGEST_PASSWORD + 1)
    except FileRefused as refused:
        raise Failure(str(refused)) from None
    if found is None:
        raise NoPassword(
            f"the password of {directory.bind_dn} at {directory.url} is not kept here: "
            "`cloudcard ra account directory password` asks for it"
        )
    return found.decode(errors="replace")


def keep(identity: Path, directory: AccountDirectory, password: str) -> None:
    """Keep the password at a directory. Raises Failure."""
    path = path_of(identity, directory)
    try:
        writing.make_folder(path.parent)
        writing.replace(path, password.encode())
    except FileRefused as refused:
        raise Failure(str(refused)) from None


def check(password: str) -> None:
    """Raise Failure for what is none."""
    if not password or len(password.encode()) > LONGEST_PASSWORD or not password.isprintable():
        raise Failure(
            f"a password has 1 to {LONGEST_PASSWORD} bytes, and no characters that cannot be shown"
        )
