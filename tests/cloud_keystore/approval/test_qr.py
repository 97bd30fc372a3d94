"""Which scanned texts are codes of cloudcard."""

from __future__ import annotations

import pytest

from cloud_keystore.approval import qr
from cloud_keystore.model.errors import InvalidInput

OPERATION = "0192f0c4-7d3a-7e51-9d0b-5d9f1a2b3c4d"
SECRET = bytes(range(16))
CODE = qr.text(OPERATION, SECRET)


def test_a_code_is_small_and_gives_operation_and_secret() -> None:
    assert CODE.startswith("CLOUDCARD:1:")
    assert len(CODE) == 12 + 52  # 32 bytes in base 32, without padding
    assert qr.parse(CODE) == qr.parse(f" {CODE}\n") == (OPERATION, SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        CODE.removeprefix("CLOUDCARD"),
        CODE.removeprefix(qr.PREFIX),
        "CLOUDCARD:1:",
        CODE.lower(),
        CODE[:-1],
        CODE[:-1] + "1",  # not of base 32
        CODE[:-1] + "é",
        qr.text(OPERATION, SECRET[:-1]),
        qr.text(OPERATION, SECRET + b"\0"),
        CODE + "=" * 100,
        CODE + "A" * 1000,
    ],
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not from cloudcard"):
        qr.parse(text)
