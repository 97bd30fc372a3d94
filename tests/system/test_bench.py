"""The bench measures through real pcscd and vpcd, and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys

from cloudcard_tools.shared import pcsc, pcscd

COMMAND = [sys.executable, "-m", "cloudcard_tools", "bench", "apdu", "--json", "--count", "300"]


def test_the_bench_measures_all_in_one_run(virtual_readers: pcsc.Client) -> None:
    done = subprocess.run(COMMAND, stdout=subprocess.PIPE, timeout=90, check=True)
    result = json.loads(done.stdout)
    assert 0 < max(result["echo_us"], result["card_us"]) < result["naive_us"]
    assert result["core_us"] < result["card_us"]
    assert (result["count"], result["response_bytes"]) == (300, 20)
    for slot in (0, 1):
        virtual_readers.wait_for_absence(slot)
    assert pcscd.occupied() == set()
