"""Ten years of a keystore that runs without a restart, over real TLS, with a clock that is
stepped.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cryptography import x509

from cloudcard.registry.v1 import identities_pb2, people_pb2
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support.exports import audited
from support.registry import Registry
from support.stepped_clock import NAMES, environment

PROGRAM = ("-m", "support.stepped_clock")
DAYS = (365, 600, 730, 1095, 1600, 2200, 2800, 2920, 3350, 3650, 3700)


def test_everybody_is_let_in_and_signs(tmp_path: Path) -> None:
    """At +1, +2, +3, +8 and +10 years, and in between as often as identities need it."""
    listen, enrol_listen = (f"127.0.0.1:{port}" for port in free_ports(2))
    with Nursery(tmp_path / "logs") as nursery:
        keystore = nursery.start_python(
            *("keystore", *PROGRAM, "serve", str(tmp_path / "keystore"), listen, enrol_listen),
            **environment(tmp_path),
        )
        keystore.wait_for("Keystore ready", timeout=60)
        user_id = enrolled(tmp_path)
        clients = nursery.start_python(
            "clients", *PROGRAM, "call", str(tmp_path), user_id, **environment(tmp_path)
        )
        seen: dict[str, set[str]] = {name: set() for name in NAMES}
        for days in (0, *DAYS):
            keystore.send(str(days))
            keystore.wait_for(f"stepped {days}$", timeout=60)
            clients.send(str(days))
            told = clients.wait_for_json(timeout=60)
            then = datetime.now(UTC).date() + timedelta(days=days)
            assert abs(date.fromisoformat(str(told["now"])) - then) <= timedelta(days=1)
            for name in NAMES:
                seen[name].add(str(told[name]))
        assert all(len(certificates) >= 6 for certificates in seen.values())
        pems = x509.load_pem_x509_certificates((tmp_path / "pc" / "ca.pem").read_bytes())
        assert "CN=cloudcard transport CA 2" in [each.subject.rfc4514_string() for each in pems]
        keystore.stop()
    result = audited(f"sqlite:///{tmp_path / 'keystore' / 'keystore.db'}")
    assert result.findings == []
    assert result.counts.uses == len(DAYS) + 1


def enrolled(folder: Path) -> str:
    """Everybody, enrolled at the beginning; returns the identifier of the phone's holder."""
    token = (folder / "keystore" / "operator.token").read_text()
    with identity.channel(spending.enrol(token, folder / "operator", "operator")) as channel:
        registry = Registry(channel)
        made = registry.people.CreateUser(people_pb2.CreateUserRequest(display_name="Ada"))
        pc = identities_pb2.CreateWorkstationRequest(display_name="PC1")
        auditor = identities_pb2.CreateAuditorRequest(display_name="Aude")
        tokens = {
            ("ada", "authenticator"): made.device_token,
            ("pc", "workstation"): registry.identities.CreateWorkstation(pc).token,
            ("auditor", "auditor"): registry.identities.CreateAuditor(auditor).token,
        }
    for (name, role), invited in tokens.items():
        spending.enrol(invited.text, folder / name, role)
    return str(made.user.id)
