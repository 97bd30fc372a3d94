"""What entries of directories say of Windows accounts. What a directory says is shown only if it is
what accounts are called by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import emails
from cloud_keystore.model.fields.accounts import account_name
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.finding import folded
from cloud_keystore.model.lookups import directories
from cloud_keystore.model.lookups.directories import LONGEST_NAME, AccountDirectory
from cloud_keystore.model.people import principal_name
from cloudcard_tools.ra.lookup.connection import Bound
from cloudcard_tools.ra.lookup.messages import Entry

CONTROL = "userAccountControl"
ACCOUNT_DISABLE = 0x2  # MS-ADTS, 2.2.16
PORTION = 25  # accounts of one search


@dataclass(frozen=True, slots=True)
class Known:
    """An account as a directory has it."""

    domain: str
    sam: str
    upn: str
    email: str
    entry: str  # the distinguished name
    is_disabled: bool

    @property
    def account(self) -> str:
        r"""The account, such as CORP\ada."""
        return rf"{self.domain}\{self.sam}"


def of_person(bound: Bound, email: str, upn: str) -> list[Known]:
    """The accounts of a person with an address or a principal name. A directory can take others for
    the same, such as those with other accents; they are left out.
    """
    directory = bound.directory
    wanted = directories.wanted(directory, email, upn)
    if wanted is None:
        return []
    found = read(directory, bound.search(wanted, _attributes(directory)))
    return [
        each
        for each in found
        if (email and emails.key(each.email) == emails.key(email))
        or (upn and folded(each.upn) == folded(upn))
    ]


def of_accounts(bound: Bound, sams: Sequence[str]) -> dict[str, Known]:
    """The accounts of some names that the directory has, by their names as they are compared."""
    directory, found = bound.directory, dict[str, Known]()
    for begin in range(0, len(sams), PORTION):
        some = tuple(sams[begin : begin + PORTION])
        entries = bound.search(directories.of_accounts(directory, some), _attributes(directory))
        found |= {folded(each.sam): each for each in read(directory, entries)}
    return found


def _attributes(directory: AccountDirectory) -> Sequence[str]:
    return (directory.sam, directory.upn, directory.mail, CONTROL)


def read(directory: AccountDirectory, entries: Iterable[Entry]) -> list[Known]:
    """The accounts of some entries. Those without a name that accounts have are left out."""
    found: list[Known] = []
    for entry in entries:
        sam = _one(entry, directory.sam)
        try:
            account_name(rf"{directory.domain}\{sam}")
        except InvalidInput:
            continue
        upn, email = _one(entry, directory.upn), _one(entry, directory.mail)
        dn = _text(entry.dn)
        made = Known(
            directory.domain,
            sam,
            upn=_if_any(principal_name, upn),
            email=_if_any(emails.email, email),
            entry=_if_any(lambda text: text_field("dn", text, LONGEST_NAME), dn),
            is_disabled=_is_disabled(entry),
        )
        found.append(made)
    return sorted(found, key=lambda each: folded(each.sam))


def _if_any(read: Callable[[str], str], text: str) -> str:
    """A text as it is kept; empty for one that is not."""
    try:
        return read(text)
    except InvalidInput:
        return ""


def _one(entry: Entry, attribute: str) -> str:
    """The first value of an attribute; empty without one, and for what is no text."""
    values = entry.attributes.get(attribute.lower(), ())
    return _text(values[0]) if values else ""


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""


def _is_disabled(entry: Entry) -> bool:
    """Whether the account is disabled; what cannot be read says so."""
    said = _one(entry, CONTROL)
    try:
        return bool(int(said or "0") & ACCOUNT_DISABLE)
    except ValueError:
        return True
