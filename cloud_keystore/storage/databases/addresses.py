"""Addresses of PostgreSQL databases, in every form that PostgreSQL's library or SQLAlchemy takes.

Whoever connects asks here, so that all of them reach the same server, also after a fail-over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from cloud_keystore.model.errors import KeystoreError

SCHEME = re.compile(r"postgres(?:ql)?(?:\+[a-z0-9]+)?://", re.ASCII)
DRIVER = "postgresql+psycopg"


class AddressUnusable(KeystoreError):
    """This is not the address of a database. The text does not quote it: it can hold a password."""


def is_postgresql(url: str) -> bool:
    """Whether an address names a PostgreSQL database."""
    return SCHEME.match(url) is not None


def parameters(url: str) -> Mapping[str, str]:
    """The parameters of PostgreSQL's library for an address; the password can be among them.

    Raises AddressUnusable.
    """
    rest = url[len(scheme[0]) :] if (scheme := SCHEME.match(url)) else url
    try:
        parsed = make_url(f"{DRIVER}://{rest}")
        # SQLAlchemy takes several hosts in a query alone.
        if "," in (parsed.host or ""):
            return _of_library(rest)
        _, found = parsed.get_dialect()().create_connect_args(parsed)
    except (ArgumentError, ValueError):
        return _of_library(rest)
    return {name: str(value) for name, value in found.items()}


def shown(parameters: Mapping[str, str]) -> str:
    """An address for messages, without the password."""
    hosts = parameters.get("host", "").split(",")
    ports = parameters.get("port", "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    places = ",".join(_place(*each) for each in zip(hosts, ports, strict=False))
    user = f"{parameters['user']}@" if "user" in parameters else ""
    return f"postgresql://{user}{places}/{parameters.get('dbname', '')}"


def _place(host: str, port: str) -> str:
    host = f"[{host}]" if ":" in host else quote(host, safe="")  # a socket's folder has slashes
    return f"{host}:{port}" if port else host


def _of_library(rest: str) -> dict[str, str]:
    try:
        found = conninfo_to_dict(f"postgresql://{rest}")
    except ProgrammingError:
        raise AddressUnusable(
            "this is not the address of a database: write postgresql://USER@HOST/NAME, or "
            "postgresql://USER@HOST1:PORT1,HOST2:PORT2/NAME for a server and its standbys"
        ) from None
    return {name: str(value) for name, value in found.items() if value is not None}
