"""What a client says of itself."""

from __future__ import annotations

import platform
from importlib.metadata import version

import pytest

from cloud_keystore.model.fields.software import Software, parse
from reader_bridge.remote.software import user_agent


def test_the_keystore_understands_what_is_said() -> None:
    """DEV-01: a client says its version, platform and platform version."""
    found = parse(f"{user_agent(['sign-in', 'other'])} grpc-python/1.76.0")
    own = (version("cloudcard"), platform.system().lower(), platform.release())
    assert found == Software(*own, ("other", "sign-in"))
    assert parse(user_agent()) == Software(*own)


@pytest.mark.parametrize(
    ("release", "expected"), [("", "unknown"), ("6 (é; x)", "6x"), ("9" * 99, "9" * 32)]
)
def test_a_strange_system(release: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "release", lambda: release)
    assert parse(user_agent()).platform_version == expected
