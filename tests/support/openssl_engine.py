"""OpenSSL's programs with the card's keys: through libp11's engine and OpenSC's module."""

from __future__ import annotations

import re
from pathlib import Path

from cloudcard_tools.demo.programs import Ended, module, run
from support.system_cards import OPENSC_IDS, PIN

CONFIGURATION = """\
openssl_conf = start
[start]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
MODULE_PATH = {module}
init = 1
"""


def configure(folder: Path) -> dict[str, str]:
    """The environment in which OpenSSL, and all that is built on it, knows the engine."""
    path = folder / "openssl.cnf"
    path.write_text(CONFIGURATION.format(module=module()))
    return {"OPENSSL_CONF": str(path)}


def uri(key_ref: int, kind: str = "private") -> str:
    """A key or certificate of the card as a URI (RFC 7512), with the PIN."""
    escaped = re.sub("..", lambda octet: f"%{octet[0]}", OPENSC_IDS[key_ref])
    return f"pkcs11:id={escaped};type={kind};pin-value={PIN}"


def openssl(folder: Path, *arguments: str | Path, stdin: str = "") -> Ended:
    """OpenSSL's command line, knowing the engine; what it asks for it reads from `stdin`."""
    # Without a terminal of its own: it would rather ask the developer.
    return run(["setsid", "--wait", "openssl", *map(str, arguments)], stdin, **configure(folder))
