"""EST servers of external authorities: where the keystore asks for certificates by itself."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from hashlib import sha256

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.pki.est import Credentials, EstServer, password, sealed_context
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.pki.est import check_server, pem
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import csrs, est_servers, external


@dataclass(frozen=True, slots=True)
class EstServers:
    """Keeps them. `hosts` are those that this keystore may call, with their ports."""

    database: Database
    clock: Clock
    random: Random
    seal: Seal
    hosts: Collection[tuple[str, int]]

    def use(self, name: str, server: EstServer, credentials: Credentials, *, actor: Actor) -> None:
        """Ask an authority at a server from now on, at once for what it was asked in vain. Raises
        AuthorityNotFound, InvalidInput, NotAllowed.
        """
        now = self.clock()
        password(credentials.password)
        with acting.changing(self.database, actor, now) as by:
            by.need(Right.POLICY, ROOT)
            connection, authority = by.connection, external.named(by.connection, name)
            self._check_host(server)
            if not server.anchors:
                server = replace(server, anchors=pem(authority.certificate))
            check_server(server, credentials, now)
            kept = est_servers.find(connection, authority.id)
            secret = json.dumps(
                [credentials.password, credentials.private.decode("ascii")]
            ).encode()
            sealed = self.seal.close(secret, sealed_context(authority.id))
            own_id = new_id(now, self.random)
            est_servers.put(connection, own_id, authority.id, server, sealed)
            csrs.begin_anew(connection, authority.id)
            said = _told("old_", kept.server if kept else None) | _told("", server)
            said |= {"authority": authority.id, "name": name}
            told = entries.about_keystore(Kind.EST_SERVER_CHANGED, now, actor, said)
            journal.append(connection, told)

    def stop(self, name: str, *, actor: Actor) -> bool:
        """Ask an authority at its server no longer; False if it was not. Raises AuthorityNotFound,
        NotAllowed.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            by.need(Right.POLICY, ROOT)
            connection, authority = by.connection, external.named(by.connection, name)
            kept = est_servers.find(connection, authority.id)
            if kept is None:
                return False
            est_servers.remove(connection, authority.id)
            csrs.begin_anew(connection, authority.id)
            said = _told("old_", kept.server) | {"authority": authority.id, "name": name}
            told = entries.about_keystore(Kind.EST_SERVER_CHANGED, now, actor, said)
            journal.append(connection, told)
        return True

    def list_all(self, *, actor: Actor) -> dict[str, EstServer]:
        """The servers, by their authorities' names. Raises NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            kept = est_servers.list_all(by.connection)
            known = external.list_all(by.connection)
            return {each.name: kept[each.id].server for each in known if each.id in kept}

    def _check_host(self, server: EstServer) -> None:
        host, port = server.place
        if (host, port) not in self.hosts:
            raise InvalidInput(
                f"this keystore may not call {host}:{port}: have it started with "
                f"--ca-host {host}:{port}"
            )


def opened(seal: Seal, authority_id: str, sealed: bytes) -> Credentials:
    """Credentials that were sealed; raises SealBroken."""
    text, private = json.loads(seal.open(sealed, sealed_context(authority_id)))
    return Credentials(text, private.encode())


def _told(prefix: str, server: EstServer | None) -> dict[str, Detail]:
    """What the journal says of a server: nothing that is secret."""
    if server is None:
        return {}
    said: dict[str, Detail] = {
        "url": server.url,
        "user": server.user,
        "anchors_sha256": sha256(server.anchors).hexdigest(),
        "any_subject": server.any_subject,
    }
    if server.certificate:
        said["certificate_sha256"] = sha256(server.certificate).hexdigest()
    return {prefix + name: value for name, value in said.items()}
