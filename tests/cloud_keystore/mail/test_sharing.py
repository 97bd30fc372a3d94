"""Two replicas on one PostgreSQL empty the same outbox."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from cloud_keystore.model.outbox.notifications import Outcome, State
from support.keystore_world import new_world
from support.outbox import Told

PEOPLE = 45  # several portions for each


def test_two_replicas_never_send_the_same(database_url: str, tmp_path: Path) -> None:
    worlds = [new_world(tmp_path, url=database_url) for _ in range(2)]
    first, second = (Told(world) for world in worlds)
    for number in range(PEOPLE):
        first.person(f"ada{number}@example.org")
    begin = Barrier(2)

    def empty(told: Told) -> list[str]:
        begin.wait()
        taken: list[str] = []
        while letters := told.posting.take():
            taken += [each.address for each in letters]
            for each in letters:
                told.posting.tell(each.notification_id, each.tries, Outcome.TAKEN, "")
        return taken

    with ThreadPoolExecutor(2) as threads:
        sent = Counter(each for taken in threads.map(empty, (first, second)) for each in taken)
    assert sent == {f"ada{number}@example.org": 1 for number in range(PEOPLE)}
    assert {each.notification.state for each in second.listed()} == {State.SENT}
    for world in worlds:
        world.database.close()
