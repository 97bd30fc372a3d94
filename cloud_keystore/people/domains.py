"""The domains that e-mail addresses can have."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.fields import emails
from cloud_keystore.model.fields.emails import Domain
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.storage.contacts import domains
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Domains:
    """Allows domains, and forbids them again. As long as there is none, all are allowed. Addresses
    that somebody has already stay.
    """

    database: Database
    clock: Clock
    random: Random

    def add(self, name: str, *, actor: Actor) -> bool:
        """Allow a domain from now on; False if it is in the list. Raises InvalidInput,
        NotAllowed.
        """
        now = self.clock()
        domain = Domain(new_id(now, self.random), emails.domain(name), now)
        with acting.changing(self.database, actor, now) as by:
            by.need(Right.DOMAINS, ROOT)
            connection = by.connection
            if domains.find(connection, domain.name) is not None:
                return False
            domains.add(connection, domain)
            said = {"domain": domain.name}
            told = entries.about_keystore(Kind.EMAIL_DOMAIN_ADDED, now, actor, said)
            journal.append(connection, told)
        return True

    def remove(self, name: str, *, actor: Actor) -> bool:
        """Take a domain from the list; False if it is not there. Raises InvalidInput,
        NotAllowed.
        """
        name, now = emails.domain(name), self.clock()
        with acting.changing(self.database, actor, now) as by:
            by.need(Right.DOMAINS, ROOT)
            connection, domain = by.connection, domains.find(by.connection, name)
            if domain is None:
                return False
            domains.remove(connection, domain)
            said = {"domain": name}
            told = entries.about_keystore(Kind.EMAIL_DOMAIN_REMOVED, now, actor, said)
            journal.append(connection, told)
        return True

    def list_all(self, *, actor: Actor) -> list[Domain]:
        """The domains by name; none if there is no restriction. Raises NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            return domains.list_all(by.connection)


def check(connection: Connection, address: str) -> None:
    """Raise InvalidInput if an address has a domain that is not allowed."""
    emails.check_domain(address, domains.names(connection))
