"""What benches have measured is taken apart into the costs that it was made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import click
import pytest

from cloud_keystore.rpc.gathering import MOST_TOGETHER
from cloudcard_tools.bench.scale import costs
from cloudcard_tools.bench.signing.figures import BATCH

KNOWN = costs.read()
SLOWER = 1.5  # than the computer of this package's costs
CALL, STREAM, BORDER, INPUT, DATABASE = 130.0, 40.0, 90.0, 5.0, 400.0  # microseconds
COMMIT_MS = 1.5
ON_SQLITE = replace(
    KNOWN.sqlite.slower(SLOWER),
    call_us=CALL,
    stream_us=STREAM,
    border_us=BORDER,
    input_us=INPUT,
    commit_ms=COMMIT_MS,
)
ON_POSTGRESQL = replace(
    KNOWN.postgresql.slower(SLOWER),
    call_us=CALL,
    stream_us=STREAM,
    border_us=BORDER,
    input_us=INPUT,
    commit_ms=COMMIT_MS,
    database_us=DATABASE,
)


def signed(*, shared: bool) -> dict[str, object]:
    """What `bench sign --json` prints of a keystore with these costs."""
    made, key = ON_SQLITE, ON_SQLITE.key_us
    group = made.custody_us + made.group_us / MOST_TOGETHER
    whole = CALL + BORDER + group + key + made.entry_us
    on = whole
    if shared:
        on += DATABASE + ON_POSTGRESQL.entry_us - made.entry_us
    rest = CALL + BORDER + made.custody_us + made.group_us + made.entry_us
    batch = key + INPUT + rest / BATCH
    figures: dict[str, object] = {
        "rsa2048": {
            "unary": {"per_s": 1500.0, "client_us": 20.0, "server_us": on},
            "stream": {"per_s": 1700.0, "client_us": 10.0, "server_us": on - CALL + STREAM},
            "batch": {"per_s": 7000.0, "client_us": 5.0, "server_us": batch},
        },
        "openssl": {"rsa2048_per_s": 1.8e6 / key, "rsa2048_per_cpu_s": 1e6 / key, "machine": "-"},
        "noop": {"server_us": CALL},
        "limit": {"commit_ms": COMMIT_MS},
    }
    if shared:
        figures["postgres"] = {"to_sqlite": on / whole, "replicas_to_one": 1.5}
    return figures


def written(folder: Path, figures: object) -> Path:
    path = folder / "sign.json"
    path.write_text(json.dumps(figures))
    return path


@pytest.mark.parametrize("shared", [False, True])
def test_the_costs_come_back(tmp_path: Path, shared: bool) -> None:
    path = written(tmp_path, signed(shared=shared))
    measured = costs.read(path)
    assert asdict(measured.sqlite) == pytest.approx(asdict(ON_SQLITE))
    assert measured.rates["stream"] == costs.Rate(1700.0, 10.0)
    assert measured.cores == pytest.approx(1.8)
    assert (measured.shared, measured.origin) == (shared, str(path))
    assert measured.replicas_to_one == (1.5 if shared else None)
    wanted = ON_POSTGRESQL
    if not shared:
        wanted = replace(wanted, database_us=SLOWER * KNOWN.postgresql.database_us)
    assert asdict(measured.postgresql) == pytest.approx(asdict(wanted))


def test_those_of_the_package() -> None:
    assert KNOWN.costs(shared=True) == KNOWN.postgresql
    assert KNOWN.costs(shared=False) == KNOWN.sqlite
    assert all(cost > 0 for cost in asdict(KNOWN.postgresql).values())
    assert KNOWN.sqlite.database_us == 0
    assert set(KNOWN.rates) == set(costs.KINDS)


def test_only_what_is_computed_is_slower_on_a_slower_computer() -> None:
    slow = KNOWN.postgresql.slower(3)
    assert slow.commit_ms == KNOWN.postgresql.commit_ms
    assert slow.key_us == 3 * KNOWN.postgresql.key_us


def without(name: str) -> Callable[[], object]:
    def figures() -> object:
        rest = signed(shared=False)
        del rest[name]
        return rest

    return figures


@pytest.mark.parametrize(
    "figures",
    [
        list,
        dict,
        *map(without, signed(shared=False)),
        lambda: {**signed(shared=False), "noop": {"server_us": 9999.0}},
        lambda: {**signed(shared=False), "openssl": {"rsa2048_per_s": 1, "rsa2048_per_cpu_s": 0}},
        lambda: {"error": {"reason": "NO_ANSWER"}},
    ],
)
def test_another_file_is_refused(tmp_path: Path, figures: Callable[[], object]) -> None:
    with pytest.raises(click.ClickException, match=r"is not what cloudcard bench sign --json"):
        costs.read(written(tmp_path, figures()))


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sign.json"
    path.write_bytes(b"\xff{")
    with pytest.raises(click.ClickException, match="bench sign"):
        costs.read(path)
