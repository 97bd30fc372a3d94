"""A real slapd on the loopback address, whose people have Windows accounts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloudcard_tools.demo.programs import must
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support.authority import Authority
from support.polling import until

PROGRAM, LOADER = "/usr/sbin/slapd", "/usr/sbin/slapadd"
BASE = "dc=corp,dc=example"
BIND_DN, PASSWORD = f"cn=ra,{BASE}", "swordfish 17 Ä"
DISABLED, ENABLED = 0x202, 0x200
CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.656 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP inetOrgPerson STRUCTURAL
    MAY ( sAMAccountName $ userPrincipalName $ userAccountControl ) )
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCACertificateFile {authority}
TLSCertificateFile {server}
TLSCertificateKeyFile {server}
database mdb
suffix "{base}"
directory {folder}/rows
rootdn "{bind_dn}"
rootpw "{password}"
access to * by anonymous auth by * none
"""


@dataclass(frozen=True, slots=True)
class Person:
    """An entry of the directory."""

    sam: str
    upn: str = ""
    email: str = ""
    control: int | None = ENABLED
    kind: str = "user"

    def ldif(self, base: str) -> str:
        """The entry as slapadd takes it."""
        given = {
            "sAMAccountName": self.sam,
            "userPrincipalName": self.upn,
            "mail": self.email,
            "userAccountControl": "" if self.control is None else str(self.control),
        }
        lines = [f"dn: cn={self.sam},{base}", "objectClass: user", f"cn: {self.sam}"]
        lines += [f"sn: {self.sam}", f"employeeType: {self.kind}"]
        return "\n".join([*lines, *(f"{name}: {each}" for name, each in given.items() if each), ""])


@dataclass(frozen=True, slots=True)
class Slapd:
    """A server: at once under TLS at one port, and at another one after StartTLS, or without."""

    folder: Path
    port: int
    tls_port: int
    authority: Path

    @property
    def url(self) -> str:
        return f"ldap://localhost:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://localhost:{self.tls_port}"

    @property
    def anchors(self) -> bytes:
        return self.authority.read_bytes()


@contextmanager
def running(folder: Path, *people: Person) -> Iterator[Slapd]:
    """A server with these people, which ends with the block."""
    authority, (port, tls_port) = Authority(), free_ports(2)
    trusted, server = authority.write(folder), authority.write_server(folder)
    (folder / "rows").mkdir()
    configuration, entries = folder / "slapd.conf", folder / "people.ldif"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder,
            authority=trusted,
            server=server,
            base=BASE,
            bind_dn=BIND_DN,
            password=PASSWORD,
        )
    )
    whole = f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Corp\ndc: corp\n"
    entries.write_text("\n".join([whole, *(each.ldif(BASE) for each in people)]))
    must([LOADER, "-q", "-f", str(configuration), "-l", str(entries)])
    with Nursery(folder / "logs") as nursery:
        where = f"ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port}"
        nursery.start("slapd", PROGRAM, "-d", "0", "-f", str(configuration), "-h", where)
        until(lambda: _answers(port) and _answers(tls_port))
        yield Slapd(folder, port, tls_port, trusted)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
