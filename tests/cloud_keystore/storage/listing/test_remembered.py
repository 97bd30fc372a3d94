"""What was computed of users holds until something happens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, event

from cloud_keystore.audit import entries, journal
from cloud_keystore.cards.reports import Reports
from cloud_keystore.model.fields.pages import Order, Page
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import User
from cloud_keystore.people.listing import Wanted
from cloud_keystore.storage.listing import remembered, users
from cloud_keystore.storage.listing.remembered import LONGEST, MOST, Remembered
from support.keystore_world import OPERATOR, Enrolled, World


@pytest.fixture
def statements() -> Iterator[list[tuple[Connection, str, object]]]:
    """What is asked of databases, with its parameters."""
    asked: list[tuple[Connection, str, object]] = []

    def note(connection: Connection, _cursor: object, said: str, given: object, *_: object) -> None:
        asked.append((connection, said, given))

    event.listen(Engine, "before_cursor_execute", note)
    yield asked
    event.remove(Engine, "before_cursor_execute", note)


def test_states_are_counted_anew_when_something_happened(world: World) -> None:
    """USER-14: at once, although a number holds for a while."""
    assert world.reports.states(actor=OPERATOR) == {}
    ada, _ = world.user("Ada")
    assert world.reports.states(actor=OPERATOR) == {"pending": 1}
    world.card(ada)
    assert world.reports.states(actor=OPERATOR) == {"enrolled": 1}
    bo, _ = world.people.add_user("Bo", "", actor=OPERATOR)
    assert world.reports.states(actor=OPERATOR) == {"enrolled": 1, "pending": 1}
    world.leaving.close(bo.id, "left", world.operator().identity)
    assert world.reports.states(actor=OPERATOR) == {"enrolled": 1, "closed": 1}


def test_what_was_counted_holds_while_nothing_happens(world: World) -> None:
    """A minute of signatures makes nobody count."""
    counts, asked, now = Remembered[int](), list[None](), world.clock()

    def number(
        within: list[str] | None = None, later: timedelta = timedelta(), text: str = ""
    ) -> int:
        def count() -> int:
            asked.append(None)
            return len(asked)

        with world.database.read() as connection:
            return counts.of(connection, now + later, within, text, count)

    def happens(kind: Kind) -> None:
        with world.database.write() as connection:
            journal.append(connection, entries.about_keystore(kind, now, OPERATOR, {}))

    assert [number(), number()] == [1, 1]
    assert [number(["a"]), number(["b"]), number(["a"])] == [2, 3, 2]
    happens(Kind.OPERATION_APPROVED)
    happens(Kind.JOURNAL_READ)
    assert number() == 1
    # "This was not me" suspends a card.
    for time, kind in enumerate((Kind.OPERATION_REPORTED, Kind.USER_ADDED), 4):
        happens(kind)
        assert [number(), number()] == [time, time]
    assert number(later=LONGEST - timedelta(seconds=1)) == 5
    assert number(later=LONGEST) == 6  # a phone can have come to its end
    assert number() == 7  # the clock was put back
    assert [number(text="zoe"), number(text="bo"), number(text="zoe")] == [8, 9, 8]
    for each in range(MOST):
        number([str(each)])
    assert number() == 10 + MOST


def test_a_page_shows_what_has_happened(world: World) -> None:
    """PORT-03, USER-14: a list is that of now, whatever was remembered of it."""
    page, wanted = Page(5), Wanted(sort="-cards")

    def shown() -> list[tuple[str, int, tuple[str, ...]]]:
        found = world.people.list_users(page, wanted, actor=OPERATOR)
        return [(each.user.display_name, each.device_count, each.card_serials) for each in found]

    def waiting() -> list[str]:
        return [each.user.display_name for each in world.reports.pending(page, actor=OPERATOR)]

    ada, _ = world.user("Ada")
    world.clock.forward(seconds=1)
    bo, token = world.people.add_user("Bo", "", actor=OPERATOR)
    assert token is not None
    assert shown() == [("Bo", 0, ()), ("Ada", 1, ())]
    assert waiting() == ["Ada", "Bo"]
    serial = world.card(ada)
    assert shown() == [("Ada", 1, (serial,)), ("Bo", 0, ())]
    assert waiting() == ["Bo"]
    world.enrol(token.text)
    assert shown() == [("Ada", 1, (serial,)), ("Bo", 1, ())]
    world.people.change_user(bo.id, "Beau", None, actor=OPERATOR)
    assert [each[0] for each in shown()] == ["Ada", "Beau"]
    assert waiting() == ["Beau"]


def test_kinds_that_change_nobody_are_few() -> None:
    quiet = {each.value.partition(".")[0] for each in remembered.QUIET}
    assert quiet == {"operation", "passcode", "sign-in", "seat", "session", "journal", "visit"}
    assert remembered.QUIET.isdisjoint(each for each in Kind if each.value.endswith(".reported"))
    assert Kind.PASSCODE_BLOCKED not in remembered.QUIET


def test_a_signature_makes_nobody_count(
    world: World,
    ada: tuple[User, Enrolled],
    pc: Enrolled,
    serial: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The passcode, the question, the decision and the use, as real parts write them."""
    asked: list[object] = []

    def count(*given: object) -> dict[str, int]:
        asked.append(given)
        return {}

    monkeypatch.setattr(users, "counts", count)
    reports = Reports(world.database, world.clock)
    reports.states(actor=OPERATOR)
    before = len(world.journal())
    operation = world.ask(serial, pc)
    world.decide(operation, ada[1])
    world.perform(operation, pc)
    told = {each.kind for each in world.journal()[before:]}
    assert {Kind.PASSCODE_RIGHT, Kind.OPERATION_ASKED, Kind.OPERATION_USED} <= told
    reports.states(actor=OPERATOR)
    assert len(asked) == 1
    world.cards.suspend(serial, actor=OPERATOR)
    reports.states(actor=OPERATOR)
    assert len(asked) == 2


def test_lists_read_no_row_that_they_do_not_show(
    world: World, statements: list[tuple[Connection, str, object]]
) -> None:
    """Counting and looking for a text find all in indexes; a million rows would take seconds."""
    world.user("Ada")
    plans = []
    with world.database.read() as connection:
        statements.clear()
        now = world.clock()
        users.counts(connection, now, None)
        users.counts(connection, now, ["default"])
        users.counts(connection, now, None, "zoe")
        users.ids(connection, None, Order("name"), now, None, text="zoe")
        for each in ("name", "profile", "state", "cards", "devices"):
            users.ids(connection, None, Order(each), now, None)
        for _, said, given in tuple(statements):
            plans += connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", given).all()
    read = [plan[3] for plan in plans if plan[3].startswith("SCAN")]
    # Those who have left, or have accounts, are few. Cards are in the order of the page, which ends
    # it.
    few = (
        "SCAN card USING INDEX sqlite_autoindex_card",
        "SCAN user USING INDEX user_closed",
        "SCAN closed USING INDEX",
        "SCAN windows_account",
        "SCAN called USING INDEX",
    )
    assert [
        each for each in read if "COVERING INDEX" not in each and not each.startswith(few)
    ] == []
    assert any("COVERING INDEX user_called" in each for each in read)


def test_people_with_long_names_are_found(world: World) -> None:
    """USER-14: those who are called more than an index takes have another one."""
    long = world.people.add_user("\ufdfa" * 60 + " Zoë", "", actor=OPERATOR)[0]
    world.clock.forward(seconds=1)
    short = world.people.add_user("Zoë", "", actor=OPERATOR, namesake=True)[0]
    with world.database.read() as connection:
        lengths = connection.exec_driver_sql('SELECT length(search) FROM "user"').scalars().all()
    assert sorted(each > 512 for each in lengths) == [False, True]
    found = world.people.search("zoe", 5, actor=OPERATOR)
    assert [each.user.id for each in found] == [long.id, short.id]
    (only,) = world.people.search(short.id[:-1], 5, actor=OPERATOR)
    assert only.user.id == short.id
    assert world.reports.states("zoe", actor=OPERATOR) == {"pending": 2}
