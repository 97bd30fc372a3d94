"""Dies in the middle of changes of a card, between any two statements to the database.

A program of its own, since it forks: `python tearing.py FOLDER`. Says what it found torn, if any,
and how often it died in each change, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from sqlalchemy import Engine, event

from card_os.piv.names import Algorithm, KeyRef, ObjectTag
from cloud_keystore.cards.administration import Administrator
from cloud_keystore.model.cards import KeyPolicies
from support.keystore_world import Enrolled, World, new_world
from support.whole_cards import faults

DONE, DIED = 0, 9

Change = Callable[[World, Administrator], object]


def main(folder: Path) -> dict[str, object]:
    world = new_world(folder)
    user, _ = world.user()
    serial, pc = world.card(user, "developer"), world.workstation()
    torn: list[str] = []
    deaths: dict[str, int] = {}
    for name, change in changes(world, serial, pc).items():
        if name == "reset":
            block(world, serial, pc)
        else:
            world.ask(serial, pc)
        who = world.administrator(serial, pc)
        before = snapshot(world, serial)
        for statements in count():
            died = dies_after(statements, lambda who=who, change=change: change(world, who), world)
            after = snapshot(world, serial)
            torn += [f"{name}, {statements}: {each}" for each in faults_of(world, serial)]
            if died and after != before:
                torn.append(f"{name}, {statements}: it died, and the card is another")
            if not died:
                deaths[name] = statements
                if after == before:
                    torn.append(f"{name}: nothing has changed")
                break
    return {"torn": torn, "deaths": deaths}


def changes(world: World, serial: str, pc: Enrolled) -> dict[str, Change]:
    """Reset last: it leaves nothing to be changed."""
    administration = world.administration
    proof = world.proof(serial, pc)
    return {
        "write": lambda _, who: administration.write_object(who, ObjectTag.CCC, b"other"),
        "remove": lambda _, who: administration.write_object(who, ObjectTag.CCC, b""),
        "generate": lambda _, who: administration.generate_key(
            who, 0x9A, Algorithm.ECC_P256, KeyPolicies()
        ),
        "import": lambda _, who: administration.import_key(
            who, 0x9A, Algorithm.ECC_P256, bytes(range(1, 33)), KeyPolicies()
        ),
        "move": lambda _, who: administration.move_key(who, 0x9C, 0x82),
        "tries": lambda _, who: administration.set_tries(who, proof, 4, 5),
        "reset": lambda _, who: administration.reset_card(who.card_serial, who.workstation),
    }


def dies_after(statements: int, change: Callable[[], object], world: World) -> bool:
    """Whether a process that makes the change dies at the statement of this number."""
    world.database.close()  # no connection is used on both sides of the fork
    child = os.fork()
    if child == 0:
        left = statements

        def die(*_: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(DIED)  # as kill -9 does: nothing is cleaned up

        event.listen(Engine, "before_cursor_execute", die)
        event.listen(Engine, "commit", die)
        try:
            change()
        except BaseException as error:
            sys.stderr.write(repr(error))
            os._exit(1)
        os._exit(DONE)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (DONE, DIED), f"the change failed with {code}"
    return code == DIED


def snapshot(world: World, serial: str) -> object:
    """All of a card that a change may touch."""
    image = world.image(serial)
    tries = [world.passcodes.status(serial, each) for each in (KeyRef.PIN, KeyRef.PUK)]
    with world.database.read() as connection:
        states = connection.exec_driver_sql("SELECT id, state FROM operation ORDER BY id").all()
        keys = connection.exec_driver_sql("SELECT * FROM key ORDER BY id").all()
        management = connection.exec_driver_sql("SELECT * FROM management_key").all()
    return image, tries, states, keys, management


def faults_of(world: World, serial: str) -> list[str]:
    return faults(world.database, world.seal, serial)


def block(world: World, serial: str, pc: Enrolled) -> None:
    while world.passcodes.status(serial, KeyRef.PIN).tries_left:
        world.passcodes.verify(serial, KeyRef.PIN, b"999999", pc.identity)
    while world.passcodes.status(serial, KeyRef.PUK).tries_left:
        world.passcodes.reset(serial, b"99999999", b"123456", pc.identity)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
