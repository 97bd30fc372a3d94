"""Overviews: alerts, cards, who has not finished, workstations, feedback; each for those alone whom
it concerns.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote

import pytest
from starlette.types import ASGIApp

from cloud_keystore.audit.alerts import raise_alert
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.fields.problems import Problem
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.people.people import TOKEN_TIME
from cloud_keystore.storage import alerts
from cloud_keystore.web.ra.overviews import unfinished
from support.keystore_world import OPERATOR, World
from support.visitor import Visitor

SCRIPT = "<script>alert(1)</script>"
PATHS = ("alerts", "report", "unfinished", "workstations", "shared-devices", "feedback", "scores")


@pytest.fixture
def alert(world: World) -> str:
    """An alert about a workstation, which has said its version; its identifier."""
    pc = world.workstation(f"PC {SCRIPT}").identity
    world.callers.heard("cloudcard/0.0.1 (linux 6.1.0)", pc)
    with world.database.write() as connection:
        kind, now = AlertKind.WRONG_PASSCODES, world.clock()
        text = f"Wrong passcodes {SCRIPT}."
        return raise_alert(connection, kind, None, text, now, os.urandom, pc).id


def visiting(world: World, application: ASGIApp, role: str, place: str = "") -> Visitor:
    """An operator with a role, who has logged in."""
    token = world.people.add_operator("Ida", role, place, actor=OPERATOR)
    return Visitor.of(world, application, world.enrol(token.text).identity)


def test_an_alert_is_acknowledged(
    world: World, visitor: Visitor, olga: Identity, alert: str
) -> None:
    own = f"/ra/alerts/{alert}/acknowledge"
    assert own in visitor.page("/ra/alerts")
    assert "Acknowledge this alert?" in visitor.page(own)
    shown = visitor.done(own)
    assert "It is acknowledged." in shown
    assert "There are no alerts." in shown
    assert "Acknowledged" in visitor.page("/ra/alerts?which=all")
    with world.database.read() as connection:
        found = alerts.find(connection, alert)
    assert found is not None
    assert found.acknowledged_by == olga.id
    assert visitor.get(own).status == 404


def test_cards_are_counted_by_type(world: World, visitor: Visitor) -> None:
    assert "There are no cards yet." in visitor.page("/ra/report")
    ada, _ = world.user()
    for profile in ("v1", "v2", "v2"):
        world.card(ada, profile)
    lines = visitor.get("/ra/report.csv?sort=type").body.decode("utf-8-sig").splitlines()
    assert lines == [
        "Organisation,Card type,Numbers begin,State,Cards",
        "Default,v1,110,In use,1",
        "Default,v2,150,In use,2",
    ]
    shown = visitor.page("/ra/report?type=v2")
    assert "2 cards in all." in shown
    assert ">v1</td>" not in shown


def test_expired_invitations_have_a_tab(world: World, visitor: Visitor) -> None:
    world.people.add_user("Bea", "", actor=OPERATOR)
    path = "/ra/unfinished?stage=invitation+expired"
    assert path in visitor.page("/ra/people")
    assert "Bea" not in visitor.page(path)
    assert "Bea" in visitor.page("/ra/unfinished?stage=invited")
    world.clock.forward(seconds=TOKEN_TIME.total_seconds() + 1)
    later = Visitor.of(world, visitor.application, world.operator().identity)
    assert "Bea" in later.page(path)
    assert later.get("/ra/unfinished?stage=enrolled").status == 422


@pytest.mark.usefixtures("alert")
def test_workstations_say_their_version_and_what_was_wrong(visitor: Visitor) -> None:
    lines = visitor.get("/ra/workstations.csv?state=active").body.decode("utf-8-sig").splitlines()
    assert lines[1:] == [
        f'PC {SCRIPT},Ward 7,Default,Active,"0.0.1, outdated",linux 6.1.0,2026-11-23T09:00:00Z,'
        "Not said,1"
    ]
    assert "There are no workstations." in visitor.page("/ra/workstations?state=removed")


def test_what_doctor_found_is_read_at_a_page(
    world: World, application: ASGIApp, visitor: Visitor
) -> None:
    """CARD-09: each failed check with the same cause and fix as in `cloudcard doctor`, in the order
    of the checks, for those who see the workstation.
    """
    pc = world.workstation("PC9").identity
    own = f"/ra/workstations/{pc.id}"
    assert "It has not said what is wrong." in visitor.page(own)
    cause, fix = "nobody answers at /run/pcscd/pcscd.comm", "start it: sudo systemctl start pcscd"
    failed = Problem.of("pcscd.running", "pcscd running", True, cause, fix)
    look = Problem.of("agent.window", "Window", False, f"no window {SCRIPT}", "")
    world.problems.report([failed, look], pc)
    shown = visitor.page("/ra/workstations")
    assert f'<a href="{own}">1 failed, 1 to look at</a>' in shown
    shown = visitor.page(own)
    assert shown.index(cause) < shown.index("no window")
    assert fix in shown
    assert SCRIPT not in shown
    lines = visitor.get(f"{own}.csv").body.decode("utf-8-sig").splitlines()
    assert lines == [
        "Check,Level,What is wrong,What to do",
        f"pcscd running,Failed,{cause},{fix}",
        f"Window,Look at it,no window {SCRIPT},",
    ]
    world.clock.forward(seconds=5)
    world.problems.report([], pc)
    assert ">None</a>" in visitor.page("/ra/workstations")
    assert "All was well, as the workstation said." in visitor.page(own)
    theirs = world.organisations.add("Theirs", world.operator().identity).id
    ida = visiting(world, application, BuiltIn.RA_MANAGER, theirs)
    assert ida.get(own).status == ida.get(f"{own}.csv").status == 404


def test_feedback_and_recommendations_are_read(
    world: World, visitor: Visitor, olga: Identity
) -> None:
    assert "Nobody has said anything yet." in visitor.page("/ra/feedback")
    world.feedback.add("Sort the cards by ward.", actor=olga.actor)
    assert "Sort the cards by ward." in visitor.page("/ra/feedback")
    shown = visitor.page("/ra/scores?days=365")
    assert "Net promoter score: none." in shown
    assert visitor.get("/ra/scores?days=1").status == 422


@pytest.mark.usefixtures("alert")
def test_an_overview_is_never_markup(world: World, visitor: Visitor, olga: Identity) -> None:
    world.people.add_user(f"Bea {SCRIPT}", "", actor=OPERATOR)
    world.feedback.add(SCRIPT, actor=olga.actor)
    for path in ("alerts", "unfinished", "workstations", "feedback"):
        shown = visitor.page(f"/ra/{path}")
        assert SCRIPT not in shown
        assert "&lt;script&gt;" in shown
    for path in PATHS:
        assert SCRIPT not in visitor.page(f"/ra/{path}?q={quote(SCRIPT)}")


def test_whoever_is_elsewhere_sees_nothing(
    world: World, application: ASGIApp, olga: Identity, alert: str
) -> None:
    world.card(world.user("Ada")[0])
    world.people.add_user("Bea", "", actor=OPERATOR)
    theirs = world.organisations.add("Theirs", olga).id
    ida = visiting(world, application, BuiltIn.RA_MANAGER, theirs)
    for path in ("alerts", "report", "unfinished", "workstations"):
        shown = ida.page(f"/ra/{path}")
        assert "<table" not in shown
        assert "/ra/feedback" not in shown
    own = f"/ra/alerts/{alert}/acknowledge"
    assert ida.get(own).status == ida.post(own).status == 404
    for path in ("feedback", "scores", "feedback.csv"):
        assert ida.get(f"/ra/{path}").status == 403


def test_whoever_may_not_acknowledge_does_not(
    world: World, application: ASGIApp, alert: str
) -> None:
    ida = visiting(world, application, BuiltIn.SPONSOR)
    own = f"/ra/alerts/{alert}/acknowledge"
    assert own not in ida.page("/ra/alerts")
    assert ida.post(own).status == 403
    assert ida.post(own, token=False).status == 403
    with world.database.read() as connection:
        found = alerts.find(connection, alert)
    assert found is not None
    assert found.acknowledge_time is None


@pytest.mark.parametrize("path", PATHS)
def test_strangers_log_in(application: ASGIApp, path: str) -> None:
    for end in ("", ".csv"):
        assert Visitor(application).get(f"/ra/{path}{end}").status == 303


def test_those_who_have_not_finished_are_looked_up_by_portions(
    world: World, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PORT-01: a page takes as long with many people as with few; the file has all."""
    monkeypatch.setattr(unfinished, "PORTION", 2)
    names = ("Bo", "Cy", "Di")
    for name in names:
        world.people.add_user(name, "", actor=world.actor)
    page = visitor.page("/ra/unfinished")
    first = [each for each in names if f">{each}</a>" in page]
    assert len(first) == 2
    found = re.search(r'<option value="([^"]+)">Added after these', page)
    assert found is not None
    later = visitor.page(f"/ra/unfinished?after={found[1]}&sort=-name")
    assert [each for each in names if f">{each}</a>" not in later] == first
    assert "Added after these" not in later
    told = visitor.get("/ra/unfinished.csv").body.decode("utf-8-sig")
    assert all(f"{each}," in told for each in names)
