"""`python -m cloud_keystore DATA_FOLDER` runs the service; for options use `cloudcard serve`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from pathlib import Path

from cloud_keystore.config import Settings
from cloud_keystore.hardening import harden
from cloud_keystore.run.opening import open_keystore
from cloud_keystore.run.owning import own
from cloud_keystore.run.serving import serve


async def main(settings: Settings) -> None:
    """Run the service until it is told to stop."""
    with closing(own(settings)) as hold, open_keystore(settings, hold) as parts:
        await serve(parts, ready=lambda: print("ready", flush=True))


if __name__ == "__main__":
    harden()
    asyncio.run(main(Settings(Path(sys.argv[1]))))
