"""docs/protocol.md names each reason of a refusal with its code, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from cloud_keystore.model.errors import ComeBack, OperationBusy
from cloud_keystore.rpc.refusals import GRPC_STATUS

TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
ERRORS = TEXT.split("\n## Errors\n")[1].split("\n## ")[0]


def test_each_reason_stands_in_the_table_once_with_its_code() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([A-Z_]+) \|", ERRORS, re.MULTILINE)
    assert sorted(rows) == sorted((reason, code.name) for code, reason in GRPC_STATUS.values())


def test_those_that_say_when_to_come_back() -> None:
    (said,) = re.findall(r"^(`[^\n]*) carry a `google.rpc.RetryInfo`", ERRORS, re.MULTILINE)
    assert set(re.findall(r"[A-Z_]+", said)) == {
        reason
        for error, (_, reason) in GRPC_STATUS.items()
        if issubclass(error, ComeBack | OperationBusy)
    }
