"""Who comes in at the pages of operators, and what attackers get."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import NoReturn
from urllib.parse import quote

import pytest
from starlette.types import ASGIApp

from cloud_keystore.model.errors import IdentityRejected, SecondNeeded, StorageUnavailable
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.requests import HighRisk
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.model.rights.visits import IDLE_TIME, SECRET_PREFIX, text_sha256
from cloud_keystore.people.roles import Wish
from cloud_keystore.storage.engine import Database
from cloud_keystore.web.ra.visiting import AREA, LOG_IN
from support.keystore_world import OPERATOR, World
from support.site import ask, site, use_cases
from support.visitor import FORM, Visitor

ADMINISTRATION = ("organisations", "domains", "roles", "grants", "policies", "requests")
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def application(world: World) -> ASGIApp:
    return site(world)


@pytest.fixture
def olga(world: World) -> Identity:
    return world.operator().identity


@pytest.fixture
def visitor(world: World, application: ASGIApp, olga: Identity) -> Visitor:
    return Visitor.of(world, application, olga)


def test_a_log_in_leads_to_what_was_asked_for(
    world: World, application: ASGIApp, olga: Identity
) -> None:
    stranger = Visitor(application)
    told = stranger.get("/ra/people?q=ada&state=pending")
    assert (told.status, told.fields["location"]) == (
        303,
        "/ra/log-in?next=%2Fra%2Fpeople%3Fq%3Dada%26state%3Dpending",
    )
    assert told.fields["cache-control"] == "no-store"
    asked = stranger.get(told.fields["location"]).body.decode()
    assert 'value="/ra/people?q=ada&amp;state=pending"' in asked
    code = world.visits.make_code(olga).text
    entered = stranger.log_in(code, "/ra/people?q=ada&state=pending")
    assert entered.fields["location"] == "/ra/people?q=ada&state=pending"
    assert stranger.get(entered.fields["location"]).status == 200


def test_the_cookie_stays_here_and_is_not_read_by_scripts(visitor: Visitor) -> None:
    told = visitor.post("/ra/log-out")
    assert AREA.cookie.startswith("__Host-")
    assert told.fields["set-cookie"] == (
        f"{AREA.cookie}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"
    )


def test_a_log_out_ends_the_visit_at_the_keystore(visitor: Visitor) -> None:
    secret = visitor.secret
    visitor.take(visitor.post("/ra/log-out"))
    assert visitor.secret == ""
    visitor.secret = secret
    assert visitor.get("/ra/people").status == 303


def test_a_visit_ends_by_itself_and_with_the_operator(
    world: World, application: ASGIApp, visitor: Visitor, olga: Identity
) -> None:
    other = Visitor.of(world, application, world.operator().identity)
    world.identities.remove(olga.role, olga.id, "left", world.operator().identity)
    assert visitor.get("/ra/people").status == 303
    assert other.get("/ra/people").status == 200
    world.clock.now += IDLE_TIME + timedelta(seconds=1)
    assert other.get("/ra/people").status == 303


def test_nobody_gives_an_operator_a_secret_to_log_in_with(
    world: World, application: ASGIApp, olga: Identity
) -> None:
    """Fixation: who has put a cookie into the browser does not know the one after the log-in."""
    victim = Visitor(application, secret="ccpage_" + "A" * 43)
    planted = victim.secret
    assert victim.log_in(world.visits.make_code(olga).text).status == 303
    assert victim.secret not in ("", planted)
    assert Visitor(application, planted).get("/ra/people").status == 303
    second = Visitor(application, victim.secret)
    second.log_in(world.visits.make_code(olga).text)
    assert second.secret != victim.secret


def test_the_process_of_the_pages_speaks_for_visitors_alone(world: World, olga: Identity) -> None:
    """Who has taken that process over knows operators' certificates, which are no secret, and
    cannot act by them; by a visit it can, for as long as that goes on.
    """
    ours = use_cases(world)
    with pytest.raises(IdentityRejected):
        ours.identify(olga.certificate_sha256 or b"", Role.OPERATOR)
    secret = text_sha256(SECRET_PREFIX, world.visits.begin(world.visits.make_code(olga).text))
    assert secret is not None
    assert ours.identify(secret, Role.OPERATOR) == olga
    with pytest.raises(IdentityRejected):
        ours.identify(secret, Role.DEVICE)


def test_two_cookies_are_none(application: ASGIApp, visitor: Visitor) -> None:
    good = f"{AREA.cookie}={visitor.secret}"
    for both in (f"{good}; {good}", f"{AREA.cookie}=x; {good}"):
        assert ask(application, "GET", "/ra/people", {"cookie": both}).status == 303
    assert ask(application, "GET", "/ra/people", {"cookie": f"a=b; {good}"}).status == 200


@pytest.mark.parametrize("token", [False, "", "wrong", "A" * 43])
def test_a_form_without_its_token_does_nothing(visitor: Visitor, token: str | bool) -> None:
    assert visitor.post("/ra/log-out", token=token).status == 403
    assert visitor.get("/ra/people").status == 200


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("domains/add", {"name": "evil.example"}),
        ("organisations/add", {"name": "Evil", "parent": "default"}),
        ("roles/add", {"name": "evil", "organisation": "default", "rights-view": "yes"}),
        ("grants/add", {"who": "x", "role": "ra-manager", "organisation": "default"}),
        (
            "policies/passwordless?organisation=default&profile=",
            {"holds": "own", "passwordless": "yes", "seen": "*/*/0"},
        ),
        ("requests/x/approve", {}),
        ("requests/x/refuse", {}),
    ],
)
def test_forms_of_the_administration_have_the_token(
    world: World, visitor: Visitor, path: str, said: dict[str, str]
) -> None:
    """Sent from elsewhere they do nothing; sent from a page of ours they are looked at."""
    before = len(world.journal())
    for token in (False, "A" * 43):
        assert visitor.post(f"/ra/{path}", token=token, **said).status == 403
    assert len(world.journal()) == before
    assert visitor.post(f"/ra/{path}", **said).status in (303, 404)


def test_a_token_of_another_visit_does_nothing(
    world: World, application: ASGIApp, visitor: Visitor, olga: Identity
) -> None:
    other = Visitor.of(world, application, olga)
    assert visitor.post("/ra/log-out", token=other.form_token()).status == 403


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
    ],
)
def test_forms_of_others_do_nothing(visitor: Visitor, sent: dict[str, str]) -> None:
    token = visitor.form_token()
    visitor.sent = sent
    assert visitor.post("/ra/log-out", token=token).status in (400, 403)
    visitor.sent = {}
    assert visitor.get("/ra/people").status == 200


def test_nobody_is_logged_in_as_somebody_else_by_another_site(
    world: World, application: ASGIApp, olga: Identity
) -> None:
    attacker = Visitor(application, sent={"origin": "https://evil.example"})
    assert attacker.log_in(world.visits.make_code(olga).text).status == 403


@pytest.mark.parametrize(
    "wanted",
    [
        *("https://evil.example", "//evil.example", "/\\evil.example", "/ra\\evil", "javascript:x"),
        *("/ra//evil.example", "/rave", "/ra/../x", "/ra/\r\nset-cookie: a=b", "/ra/" + "a" * 500),
    ],
)
def test_a_log_in_leads_nowhere_else(
    world: World, application: ASGIApp, olga: Identity, wanted: str
) -> None:
    told = Visitor(application).log_in(world.visits.make_code(olga).text, wanted)
    assert told.status == 303
    assert told.fields["location"].startswith("/ra")
    assert "evil.example" not in told.fields["location"] or wanted == "/ra//evil.example"
    assert "\n" not in told.fields["location"]
    assert AREA.own_path(wanted) in ("/ra", "/ra//evil.example")


def test_codes_are_not_tried_for_long(world: World) -> None:
    stranger = Visitor(site(world))
    answers = [stranger.log_in("ccvisit_" + "B" * 43).status for _ in range(40)]
    assert answers[0] == 403
    assert answers[-1] == 429


def test_a_wrong_code_says_what_to_do(application: ASGIApp) -> None:
    told = Visitor(application).log_in(SCRIPT)
    assert told.status == 403
    text = told.body.decode()
    assert "Error: Log in" in text
    assert "get another one" in text
    assert "alert(1)" not in text
    assert "set-cookie" not in told.fields


def test_hosts_frames_and_caches(visitor: Visitor) -> None:
    told = visitor.get("/ra/people")
    assert "frame-ancestors 'none'" in told.fields["content-security-policy"]
    assert "form-action 'self'" in told.fields["content-security-policy"]
    assert told.fields["x-frame-options"] == "DENY"
    assert told.fields["cache-control"] == "no-store"
    assert told.fields["referrer-policy"] == "same-origin"
    visitor.sent = {"host": "evil.example"}
    assert visitor.get("/ra/people").status == 421


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        *("/ra", "/ra/people", "/ra/people/x", "/ra/nothing", "/ra/log-out"),
        *(f"/ra/{name}{part}" for name in ADMINISTRATION for part in ("", ".csv", "/add")),
        *("/ra/policies/session", "/ra/roles/x/delete", "/ra/grants/x/withdraw"),
        *("/ra/organisations/x/change", "/ra/domains/remove", "/ra/requests/x/approve"),
    ],
)
def test_strangers_get_the_log_in_alone(application: ASGIApp, method: str, path: str) -> None:
    told = ask(application, method, path, FORM)
    assert told.status == 303
    assert told.fields["location"].startswith(LOG_IN)


def test_a_keystore_that_does_not_answer_is_told_with_a_button_to_try_again(
    monkeypatch: pytest.MonkeyPatch, world: World, application: ASGIApp, olga: Identity
) -> None:
    """CARD-10: the database does not answer: a page says so at once and has a button, whether it is
    for a page or for something that was to be done; nothing is begun.
    """
    visitor = Visitor.of(world, application, olga)
    token, before = visitor.form_token(), len(world.journal())

    def gone(*_: object, **__: object) -> NoReturn:
        raise StorageUnavailable("the database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "read", gone)
        patched.setattr(Database, "write", gone)
        began = time.perf_counter()
        told = visitor.get("/ra/people?q=ada")
        assert told.status == 503
        assert "not available now" in told.body.decode()
        assert 'href="/ra/people?q=ada" role="button"' in told.body.decode()
        done = visitor.post("/ra/add", token=token, name="Bo")
        assert done.status == 503
        assert "Try again" in done.body.decode()
        assert time.perf_counter() - began < 3
    assert len(world.journal()) == before
    assert visitor.get("/ra/people?q=ada").status == 200


def test_a_name_is_never_markup(world: World, visitor: Visitor) -> None:
    name = f"{SCRIPT}\" onmouseover='x"
    user = world.people.add_user(name, "", actor=OPERATOR)[0]
    pages = ["/ra/people", "/ra/people?q=%3Cscript%3E"]
    pages += [f"/ra/people/{user.id}{part}" for part in ("", "/accounts", "/devices", "/log")]
    for path in pages:
        told = visitor.get(path)
        assert told.status == 200
        text = told.body.decode()
        assert SCRIPT not in text
        assert "&lt;script&gt;" in text


def test_a_name_of_the_administration_is_never_markup(
    world: World, visitor: Visitor, olga: Identity
) -> None:
    name = f"{SCRIPT}\" onmouseover='x"
    place = world.organisations.add(name, olga)
    world.organisations.change(place.id, contact=name, actor=olga.actor)
    token = world.people.add_operator(name, BuiltIn.RA_MANAGER, place.id, actor=OPERATOR)
    second = world.enrol(token.text).identity
    world.organisations.add("Below", second, place.id)
    world.custom_roles.define("clerk", ["view"], place.id, actor=olga.actor)
    other = world.people.add_operator("Ida", BuiltIn.SUPPORT, place.id, actor=OPERATOR)
    ida = world.enrol(other.text).identity
    world.four_eyes.require([HighRisk.GRANT_ROLE], place.id, actor=olga.actor)
    with pytest.raises(SecondNeeded):
        world.roles.grant(Wish(ida.id, "clerk", place.id), actor=second.actor)
    (asked,) = world.requests.list_all(decided=False, actor=OPERATOR)
    for path in (
        *("organisations", "organisations/add", f"organisations/{place.id}/change", "roles"),
        *("roles/add", "grants", "grants/add", f"policies?organisation={place.id}", "requests"),
        *(f"policies/session?organisation={place.id}", f"requests/{asked.request.id}/approve"),
        f"requests/{asked.request.id}/refuse",
    ):
        told = visitor.get(f"/ra/{path}")
        assert told.status == 200, path
        text = told.body.decode()
        assert SCRIPT not in text, path
        assert "&lt;script&gt;" in text, path
    for path in ("domains/remove?name=", "organisations?q=", "roles?q="):
        assert SCRIPT not in visitor.get(f"/ra/{path}{quote(SCRIPT)}").body.decode()


def test_an_operator_of_another_organisation_sees_nothing(
    world: World, application: ASGIApp, olga: Identity
) -> None:
    ours, theirs = (world.organisations.add(name, olga).id for name in ("Ours", "Theirs"))
    ada = world.people.add_user("Ada", "", organisation_id=ours, actor=OPERATOR)[0]
    token = world.people.add_operator("Ida", BuiltIn.RA_MANAGER, theirs, actor=OPERATOR)
    ida = Visitor.of(world, application, world.enrol(token.text).identity)
    listed = ida.get("/ra/people?q=Ada").body.decode()
    assert "Nobody is found" in listed
    assert "All (0)" in listed
    assert "There are no people yet." in ida.get("/ra/people").body.decode()
    for part in ("", "/accounts", "/devices", "/log"):
        hidden = ida.get(f"/ra/people/{ada.id}{part}")
        missing = ida.get(f"/ra/people/{'0' * 8}-0000-0000-0000-{'0' * 12}{part}")
        assert hidden.status == missing.status == 404
        assert ada.display_name not in hidden.body.decode()
