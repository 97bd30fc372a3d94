"""Evidence packs: entries of the journal with their proofs, which are checked without us."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cloud_keystore.audit.packs.files import packed
from cloud_keystore.audit.packs.lines import EntryLine, Header
from cloud_keystore.audit.packs.packing import PORTION, Collected, Packing
from cloud_keystore.audit.reading import Reading
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput, NotAllowed
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.web.ra.overviews.journal import EVIDENCE, WHAT, Asked, conditions, meant, one
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import current

FILE = f"{EVIDENCE}.zip"


@dataclass(frozen=True, slots=True)
class EvidencePages:
    """Makes packs of what the page of the journal shows for the same address."""

    views: Views
    reading: Reading
    packing: Packing
    clock: Clock

    def rows(self) -> tuple[Row, ...]:
        """Its page and the file."""
        return (Row("GET", EVIDENCE, self.show), Row("GET", FILE, self.take))

    def show(self, request: Request) -> Response:
        """What is chosen, and how a pack is checked. Raises NotAllowed."""
        if Right.JOURNAL not in self.views.visits.held(current().visitor).everywhere:
            raise NotAllowed("an evidence pack is for whoever may read the whole journal")
        asked = replace(Asked.of(request, self.clock()), before=None)
        found = meant(self.reading, asked.about)
        return self.views.page(
            "evidence",
            asked=asked,
            path=EVIDENCE,
            what={name: each.text for name, each in WHAT.items()},
            found=[(each, replace(asked, about=each.id).address(EVIDENCE)) for _, each in found],
            file=asked.address(FILE),
        )

    def take(self, request: Request) -> Response:
        """The pack, sent while it is made."""
        asked, visitor = Asked.of(request, self.clock()), current().visitor
        query, serial = conditions(asked, one(meant(self.reading, asked.about)))
        collected = self.packing.collect(visitor, query, serial)
        if not collected.places:
            raise InvalidInput(
                "no entry that a checkpoint covers is of this: choose other days, or try again in "
                "a few seconds"
            )
        headers = {"Content-Disposition": 'attachment; filename="evidence.zip"'}
        return StreamingResponse(self._parts(visitor, collected), 200, headers, "application/zip")

    def _parts(self, reader: Identity, collected: Collected) -> Iterator[bytes]:
        size, names = collected.size, dict[str, str]()

        def entries() -> Iterator[EntryLine]:
            for first in range(0, len(collected.places), PORTION):
                places = collected.places[first : first + PORTION]
                portion = self.packing.portion(reader, size, places)
                names.update(portion.names)
                yield from portion.entries

        header = Header(collected.origin, collected.public_key, size)
        made = packed(header, collected.note, len(collected.places), entries, names)
        return (part for part in made if part)
