"""`python -m cloud_keystore DATA_FOLDER`: the service alone; `cloudcard serve` has the options."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from cloud_keystore.config import Settings
from cloud_keystore.run.service import Service


async def serve(settings: Settings) -> None:
    """Run the service until it is told to stop."""
    await Service(settings).run(ready=lambda: print("ready", flush=True))


if __name__ == "__main__":
    asyncio.run(serve(Settings(Path(sys.argv[1]))))
