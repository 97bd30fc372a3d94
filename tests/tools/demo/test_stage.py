"""The stage waits for what belongs to the request in hand."""

from __future__ import annotations

import json
from pathlib import Path

from cloudcard_tools.demo.stage import Stage
from cloudcard_tools.shared.processes import Nursery


def test_an_earlier_request_on_the_phone_is_not_taken_for_this_one(tmp_path: Path) -> None:
    """It was approved by its QR code, and nobody has looked at the phone since."""
    events = [{"event": "request", "operation": each} for each in ("earlier", "this one")]
    said = "; sleep 0.2; ".join(f"echo '{json.dumps(each)}'" for each in events)
    with Nursery(tmp_path) as nursery:
        nursery.start("phone", "sh", "-c", f"{said}; exec sleep 60")
        stage = Stage(tmp_path, nursery, interactive=False)
        assert stage.ringing({"operation": "this one"}) == events[1]
        assert stage.count_rings() == 1
