"""Rows of authorities outside of the keystore, and of which organisations and profiles use them."""

from __future__ import annotations

from sqlalchemy import Column, Connection, LargeBinary, RowMapping, String, or_, select

from cloud_keystore.model.cards import Card
from cloud_keystore.model.errors import AuthorityNotFound
from cloud_keystore.model.pki.external import Csr, ExternalAuthority, IssuerChoice
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

external_authority = authentic(
    "external_authority",
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("certificate", LargeBinary, nullable=False),
    Column("create_time", Instant, nullable=False),
    # Of another row; empty: it is below none
    Column("above_id", String, nullable=False, server_default=""),
)
issuer_choice = authentic(
    "issuer_choice",
    Column("organisation_id", String, primary_key=True),  # empty: all organisations
    Column("profile", String, primary_key=True),  # empty: all profiles
    Column("authority_id", String, nullable=False),  # empty: the keystore's own
)
a, c = external_authority.c, issuer_choice.c


def add(connection: Connection, authority: ExternalAuthority) -> None:
    """Add an authority. Raises IntegrityError if there is one of this name."""
    known = {name: getattr(authority, name) for name in ExternalAuthority.__dataclass_fields__}
    rows.add(connection, external_authority, known)


def find(connection: Connection, name: str) -> ExternalAuthority | None:
    return next((each for each in list_all(connection) if each.name == name), None)


def named(connection: Connection, name: str) -> ExternalAuthority:
    """The authority of a name; raises AuthorityNotFound."""
    found = find(connection, name)
    if found is None:
        raise AuthorityNotFound(f"no external authority is called {name!r}: trust it first")
    return found


def of(connection: Connection, asked: Csr) -> ExternalAuthority:
    """The authority that was asked; raises AuthorityNotFound if somebody has removed its row."""
    found = known_as(connection, asked.authority_id)
    if found is None:
        raise AuthorityNotFound("the authority of the card is gone: restore it from a backup")
    return found


def known_as(connection: Connection, authority_id: str) -> ExternalAuthority | None:
    """The authority with an identifier."""
    row = rows.one(connection, external_authority, id=authority_id)
    return None if row is None else _to_authority(row)


def issuers(connection: Connection, authority: ExternalAuthority) -> list[ExternalAuthority]:
    """Those that issue for an authority, as far as they are known: itself, and those below it."""
    own = authority.chief_id
    return [each for each in list_all(connection) if own in (each.id, each.above_id)]


def lower(connection: Connection, authority: ExternalAuthority, above_id: str) -> None:
    """Let an authority be below another one."""
    rows.change(connection, external_authority, [a.id == authority.id], {"above_id": above_id})


def remove(connection: Connection, authority: ExternalAuthority) -> None:
    rows.drop(connection, external_authority, a.id == authority.id)


def list_all(connection: Connection) -> list[ExternalAuthority]:
    """All authorities by name."""
    found = rows.read(connection, external_authority, select(external_authority).order_by(a.name))
    return [_to_authority(row) for row in found]


def chosen_for(
    connection: Connection, organisation_id: str, profile: str
) -> ExternalAuthority | None:
    """The authority that certifies an organisation's new cards of a profile: that of the most
    specific choice, where the organisation counts for more than the profile. None: the keystore's
    own.
    """
    holds = or_(c.organisation_id == organisation_id, c.organisation_id == "") & or_(
        c.profile == profile, c.profile == ""
    )
    query = select(issuer_choice).where(holds).order_by(c.organisation_id == "", c.profile == "")
    found = rows.read(connection, issuer_choice, query.limit(1))
    if not found or not found[0]["authority_id"]:
        return None
    authority = known_as(connection, found[0]["authority_id"])
    if authority is None:
        raise AuthorityNotFound("the authority that was chosen is gone: choose another one")
    return authority


def of_new_card(connection: Connection, card: Card) -> ExternalAuthority | None:
    """The authority that is to certify a new card, unless the keystore does."""
    if PROFILES[card.profile].developer:
        return None
    return chosen_for(connection, card.organisation_id, card.profile)


def choice(connection: Connection, organisation_id: str, profile: str) -> IssuerChoice | None:
    """What was chosen for exactly this organisation and profile; None if nothing was."""
    row = rows.one(connection, issuer_choice, organisation_id=organisation_id, profile=profile)
    return None if row is None else _to_choice(row)


def choose(connection: Connection, chosen: IssuerChoice) -> None:
    """Put a choice in place of the one before."""
    where = (c.organisation_id == chosen.organisation_id) & (c.profile == chosen.profile)
    if not rows.change(connection, issuer_choice, [where], {"authority_id": chosen.authority_id}):
        known = {name: getattr(chosen, name) for name in IssuerChoice.__dataclass_fields__}
        rows.add(connection, issuer_choice, known)


def choices(connection: Connection) -> list[IssuerChoice]:
    """All choices, by organisation and profile."""
    query = select(issuer_choice).order_by(c.organisation_id, c.profile)
    return [_to_choice(row) for row in rows.read(connection, issuer_choice, query)]


def _to_authority(row: RowMapping) -> ExternalAuthority:
    return ExternalAuthority(**{n: row[n] for n in ExternalAuthority.__dataclass_fields__})


def _to_choice(row: RowMapping) -> IssuerChoice:
    return IssuerChoice(**{name: row[name] for name in IssuerChoice.__dataclass_fields__})
