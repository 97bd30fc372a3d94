"""Windows accounts: their names, as people and Windows write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.finding import folded

LONGEST_DOMAIN = 255
LONGEST_SAM = 20  # of a user (sAMAccountName, which SAM itself limits)
FORBIDDEN = frozenset('"/\\[]:;|=,+*?<>@')
MOST_ACCOUNTS = 20  # of a person


@unique
class AccountState(StrEnum):
    """The state of a Windows account."""

    PENDING = "pending"  # until its holder has finished enrolling
    ACTIVE = "active"
    DISABLED = "disabled"  # somebody else can have one of this name


@unique
class Source(StrEnum):
    """Who says that an account is somebody's."""

    OPERATOR = "operator"
    DIRECTORY = "directory"


@dataclass(frozen=True, slots=True)
class Account:
    """An account of a person in a domain of Windows."""

    id: str
    user_id: str
    domain: str  # as people write it: of NetBIOS or DNS
    sam: str  # the name in the domain (sAMAccountName)
    upn: str  # user principal name; can be empty
    state: AccountState
    source: Source
    create_time: datetime

    @property
    def name(self) -> str:
        """The account as Windows calls it."""
        return rf"{self.domain}\{self.sam}"


def account_name(text: str) -> tuple[str, str]:
    r"""Domain and name of an account that is written as CORP\ada. Raises InvalidInput."""
    text = text_field("account", text, LONGEST_DOMAIN + 1 + LONGEST_SAM)
    domain, slash, sam = text.partition("\\")
    if not slash:
        _refuse("it needs one backslash, which a shell leaves alone in single quotes")
    if FORBIDDEN & {*domain, *sam}:
        _refuse("it holds a character that no account has")
    if not domain or " " in domain or domain.strip(".") != domain or len(domain) > LONGEST_DOMAIN:
        _refuse("what is before the backslash is no domain")
    if not sam or sam.endswith(".") or len(sam) > LONGEST_SAM:
        _refuse(f"what is after the backslash is no name of 1 to {LONGEST_SAM} characters")
    return domain, sam


def name_key(domain: str, sam: str) -> str:
    """An account's name in the form in which two of them are compared."""
    return folded(rf"{domain}\{sam}")


def _refuse(why: str) -> None:
    raise InvalidInput(rf"account is none such as CORP\ada: {why}")
