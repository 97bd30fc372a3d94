"""Records the corpus of tests/traces anew: `make traces`, or `python -m recording [SESSION …]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from card_os.trace.lines import Image, read_all
from cloudcard_tools.shared import pcsc, pcscd
from cloudcard_tools.trace.replay.cards import FOLDER
from cloudcard_tools.trace.replay.replaying import SUFFIX
from recording.sessions import PROBES, SESSIONS
from recording.stage import Studio

CORPUS = Path(__file__).parent.parent / "traces"


def main(names: list[str]) -> None:
    """Record the named sessions, or all; a name may be that of a folder. The rest stays."""
    chosen = [each for each in SESSIONS if wanted(each.name, names)]
    visits = {f"probes/{name}": visit for name, visit in PROBES.items()}
    paid = {name: visit for name, visit in visits.items() if wanted(name, names)}
    if not chosen and not paid:
        known = [*(each.name for each in SESSIONS), *visits]
        sys.exit(f"no session is named so: use one of {' '.join(known)}")
    with tempfile.TemporaryDirectory(prefix="cloudcard-traces-") as name:
        scratch = Path(name)
        with pcscd.available(scratch / "pcscd.log", lambda: print("Waiting for pcscd.")):
            pcscd.require_free(0, 1)
            with pcsc.client() as client:
                studio = Studio(client, CORPUS, scratch)
                for session in chosen:
                    tell(studio.record(session))
                for name, visit in paid.items():
                    tell(studio.visit(name, visit))
    for image in set((CORPUS / FOLDER).iterdir()) - set(images()):
        image.unlink()


def wanted(name: str, names: list[str]) -> bool:
    """Whether a session is among those asked for."""
    return not names or name in names or name.split("/")[0] in names


def tell(path: Path) -> None:
    """Say that a trace is there."""
    print(f"{path.relative_to(CORPUS)} {path.stat().st_size}", flush=True)


def images() -> list[Path]:
    """The card images that the corpus names."""
    named = []
    for path in CORPUS.rglob(f"*{SUFFIX}"):
        with path.open(encoding="ascii") as file:
            image = next(line for _, line in read_all(file) if isinstance(line, Image))
        named.append(CORPUS / FOLDER / f"{image.sha256.hex()}.json")
    return named


if __name__ == "__main__":
    main(sys.argv[1:])
