"""A keystore that is reached by IPv6: ports, tokens, certificates and clients."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from cloudcard.registry.v1 import people_pb2
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support.registry import Registry


def test_from_token_to_call(tmp_path: Path) -> None:
    main, enrolment, http = free_ports(3)
    with Nursery(tmp_path / "logs") as nursery:
        keystore = nursery.start_python(
            "keystore",
            *("-m", "cloudcard_tools", "serve", "--data", str(tmp_path / "data")),
            *("--listen", f"[::1]:{main}", "--enrol-listen", f"[::1]:{enrolment}"),
            *("--public-host", "[::1]", "--http-listen", f"[::1]:{http}"),
        )
        keystore.wait_for("Keystore ready", timeout=60)
        token = (tmp_path / "data" / "operator.token").read_text()
        assert token.strip().endswith(f"@[::1]:{enrolment}")
        operator = spending.enrol(token, tmp_path / "operator", "operator")
        assert operator.address == f"[::1]:{main}"
        with identity.channel(operator) as channel:
            people = Registry(channel).people
            people.CreateUser(people_pb2.CreateUserRequest(display_name="Ada"), timeout=60)
        with urllib.request.urlopen(f"http://[::1]:{http}/health/ready", timeout=60) as page:
            assert page.read() == b"ready\n"
