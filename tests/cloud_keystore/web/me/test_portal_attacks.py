"""Who comes in at the portal, and what attackers get."""

from __future__ import annotations

import pytest
from starlette.types import ASGIApp

from cloud_keystore.model.errors import IdentityRejected
from cloud_keystore.model.people import Role
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.portal.passwords import MOST_WRONG
from cloud_keystore.model.rights.visits import OWN_PREFIX, text_sha256
from cloud_keystore.web.me.visiting import AGAIN, AREA, CODE, FORGOTTEN, LOG_IN, STEP
from support.guest import Guest
from support.keystore_world import World
from support.outbox import Told
from support.portal import ANSWERS, EMAIL, OTHER, PASSWORD, QUESTIONS, Portal, other_than
from support.rest import Answer
from support.site import ask, site, use_cases
from support.visitor import FORM

NOBODY = "nobody@example.org"
WRONG = "not this one, Sir"
SCRIPT = "<script>alert(1)</script>"
OTHERS = (
    *("/me/phones/{}/remove", "/me/sessions/{}/end", "/me/sign-ins/{}/end"),
    "/me/seats/{}/end",
)


@pytest.fixture
def portal(world: World) -> Portal:
    return Portal.open(Told(world))


@pytest.fixture
def application(world: World) -> ASGIApp:
    return site(world)


@pytest.fixture
def ada(portal: Portal, application: ASGIApp) -> Guest:
    return Guest.of(portal, application)


def enter(guest: Guest, password: str, name: str = EMAIL) -> Answer:
    return guest.post(LOG_IN, token=False, name=name, password=password)


def test_a_log_in_leads_to_what_was_asked_for(portal: Portal, application: ASGIApp) -> None:
    """AUTH-13: password and code let in, and each alone does not."""
    guest = Guest(application)
    told = guest.get("/me/phones")
    assert (told.status, told.fields["location"]) == (303, "/me/log-in?next=%2Fme%2Fphones")
    assert 'value="/me/phones"' in guest.text(told.fields["location"])
    told = guest.post(LOG_IN, token=False, name=EMAIL, password=PASSWORD, next="/me/phones")
    assert told.fields["location"] == "/me/code?next=%2Fme%2Fphones"
    assert guest.step
    assert guest.secret == ""
    assert guest.get("/me").status == 303
    code = portal.code()
    told = guest.post(CODE, token=False, code=other_than(code), next="/me/phones")
    assert told.status == 403
    assert "You have 4 tries left" in told.body.decode()
    told = guest.post(CODE, token=False, code=code, next="/me/phones")
    assert (told.status, told.fields["location"]) == (303, "/me/phones")
    assert guest.step == ""
    assert portal.user.display_name in guest.text("/me/phones")


def test_cookies_stay_here_and_are_not_read_by_scripts(
    portal: Portal, application: ASGIApp
) -> None:
    guest = Guest(application)
    first = enter(guest, PASSWORD).fields["set-cookie"]
    second = guest.post(CODE, token=False, code=portal.code()).fields["set-cookie"]
    for said in (first, *second.split("\n")):
        assert said.startswith("__Host-cloudcard-")
        assert said.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
    assert "Max-Age=900;" in first
    out = guest.post("/me/log-out").fields
    assert out["set-cookie"].startswith(f"{AREA.cookie}=; Max-Age=0; ")
    assert out["clear-site-data"] == '"cache"'


@pytest.mark.usefixtures("portal")
def test_nobody_learns_by_the_log_in_who_is_known(application: ASGIApp) -> None:
    """The attack: enumeration. Page, status and cookies are the same, up to the lock."""
    said = []
    for name in (EMAIL, NOBODY):
        guest = Guest(application)
        said.append([enter(guest, WRONG, name) for _ in range(MOST_WRONG + 1)])
    for known, unknown in zip(*said, strict=True):
        assert (known.status, known.body) == (unknown.status, unknown.body)
        assert "set-cookie" not in known.fields
        assert EMAIL not in known.body.decode()
    assert [each.status for each in said[0]] == [403] * MOST_WRONG + [429]
    assert "try again in 1 min" in said[0][-1].body.decode()
    assert enter(Guest(application), PASSWORD).status == 429


@pytest.mark.usefixtures("portal")
def test_nobody_learns_by_a_forgotten_password_who_is_known(application: ASGIApp) -> None:
    said = []
    for name in (EMAIL, NOBODY):
        guest = Guest(application)
        asked = guest.post(FORGOTTEN, token=False, name=name)
        taken = guest.post(f"{FORGOTTEN}/code", token=False, name=name, code="00000000")
        set_ = guest.post(
            f"{FORGOTTEN}/set",
            token=False,
            **{"name": name, "code": "00000000", "new": OTHER, "once-more": OTHER},
        )
        said.append(
            [(each.status, each.body.decode().replace(name, "X")) for each in (asked, taken, set_)]
        )
    assert said[0] == said[1]
    assert [status for status, _ in said[0]] == [200, 403, 403]


def test_passwords_and_codes_are_not_tried_for_long(application: ASGIApp) -> None:
    guest = Guest(application)
    answers = [guest.post(CODE, token=False, code="1").status for _ in range(40)]
    assert answers[0] == 403
    assert answers[-1] == 429
    assert guest.post(LOG_IN, token=False, name=NOBODY, password=WRONG).status == 429


def test_nobody_gives_a_holder_a_secret_to_log_in_with(
    portal: Portal, application: ASGIApp
) -> None:
    """Fixation: who has planted cookies does not know those after the log-in."""
    attacker = Guest(application)
    enter(attacker, PASSWORD)
    portal.code()
    planted = {AREA.cookie: "ccown_" + "A" * 43, STEP: attacker.step}
    victim = Guest(application, dict(planted))
    assert victim.log_in(portal).status == 303
    assert victim.secret not in ("", planted[AREA.cookie])
    assert Guest(application, dict(planted)).get("/me").status == 303
    late = attacker.post(CODE, token=False, code="00000000")
    assert late.status == 403
    assert attacker.secret == ""


def test_a_step_is_no_visit_and_a_visit_no_step(ada: Guest, application: ASGIApp) -> None:
    stolen = Guest(application, {AREA.cookie: ada.secret.replace("ccown_", "ccstep_")})
    assert stolen.get("/me").status == 303
    swapped = Guest(application, {STEP: ada.secret})
    assert swapped.post(AGAIN, token=False).status == 403


def test_the_process_of_the_pages_speaks_for_those_alone_who_have_logged_in(
    world: World, portal: Portal, ada: Guest
) -> None:
    ours, own = use_cases(world), text_sha256(OWN_PREFIX, ada.secret)
    assert own is not None
    assert ours.identify(own, Role.HOLDER).user_id == portal.user.id
    for role in (Role.DEVICE, Role.OPERATOR):
        with pytest.raises(IdentityRejected):
            ours.identify(own, role)
    with pytest.raises(IdentityRejected):
        ours.identify(portal.phone.identity.certificate_sha256 or b"", Role.HOLDER)


@pytest.mark.parametrize("token", [False, "", "wrong", "A" * 43])
def test_a_form_without_its_token_does_nothing(
    portal: Portal, ada: Guest, token: str | bool
) -> None:
    phone = portal.phone.identity
    paths = ("/me/log-out", f"/me/phones/{phone.id}/remove", "/me/visits/end", "/me/password")
    for path in paths:
        assert ada.post(path, token=token).status == 403
    assert phone.display_name in ada.text("/me/phones")


def test_a_token_of_another_visit_does_nothing(
    portal: Portal, application: ASGIApp, ada: Guest
) -> None:
    other = Guest.of(portal, application)
    assert ada.post("/me/log-out", token=other.form_token()).status == 403


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
    ],
)
def test_forms_of_others_do_nothing(application: ASGIApp, ada: Guest, sent: dict[str, str]) -> None:
    token = ada.form_token()
    ada.sent = sent
    assert ada.post("/me/log-out", token=token).status in (400, 403)
    ada.sent = {}
    assert ada.get("/me").status == 200
    attacker = Guest(application, sent=sent)
    assert enter(attacker, PASSWORD).status in (400, 403)
    assert attacker.step == ""


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path", ["/me", "/me/phones", "/me/phones/x/remove", "/me/x", "/me/log-out"]
)
def test_strangers_get_the_log_in_alone(application: ASGIApp, method: str, path: str) -> None:
    told = ask(application, method, path, FORM)
    assert told.status == 303
    assert told.fields["location"].startswith(LOG_IN)


@pytest.mark.parametrize("wanted", ["https://evil.example", "//evil.example", "/me\\evil", "/ra"])
def test_a_log_in_leads_nowhere_else(portal: Portal, application: ASGIApp, wanted: str) -> None:
    assert Guest(application).log_in(portal, wanted=wanted).fields["location"] == "/me"


def test_what_belongs_to_others_is_as_what_is_not_there(world: World, ada: Guest) -> None:
    """The attack: identifiers of others in an address."""
    _, stranger = world.user("Mallory")
    for path in OTHERS:
        hidden = ada.post(path.format(stranger.identity.id))
        missing = ada.post(path.format("nobody"))
        assert (hidden.status, hidden.body) == (missing.status, missing.body)
        assert hidden.status == 404
    hidden = ada.get(f"/me/phones/{stranger.identity.id}/remove")
    assert hidden.status == 404
    assert "Mallory" not in hidden.body.decode()


def test_a_name_is_never_markup(world: World, portal: Portal, ada: Guest) -> None:
    name = f"{SCRIPT}\" onmouseover='x"
    world.people.change_user(portal.user.id, name, None, actor=world.actor)
    for path in ("", "/phones", "/sessions", "/history", "/contact", "/password"):
        text = ada.text(f"/me{path}")
        assert SCRIPT not in text
        assert "&lt;script&gt;" in text
    told = enter(Guest(ada.application), WRONG, SCRIPT)
    assert "alert(1)" not in told.body.decode()
    forgotten = Guest(ada.application).post(FORGOTTEN, token=False, name=SCRIPT)
    assert SCRIPT not in forgotten.body.decode()


@pytest.mark.usefixtures("portal")
def test_it_is_off_unless_a_policy_says_so(world: World, ada: Guest) -> None:
    """A page says what to do, and whoever was logged in is not any more."""
    world.set_policy(Policy())
    assert ada.get("/me").status == 303
    guest = Guest(ada.application)
    for said in (
        guest.text(LOG_IN),
        guest.text(FORGOTTEN),
        enter(guest, PASSWORD).body.decode(),
    ):
        assert "--portal-passwords" in said
        assert "<form" not in said


def test_a_forgotten_password_is_set_with_code_and_answers(world: World) -> None:
    """AUTH-08, AUTH-13: as many answers as the policy wants; then all browsers are logged out."""
    portal = Portal.open(Told(world), Policy(portal_passwords=True, security_answers=2))
    world.security_questions.set_own(QUESTIONS, portal.phone.identity)
    application = site(world)
    ada, guest = Guest.of(portal, application), Guest(application)
    guest.post(FORGOTTEN, token=False, name=EMAIL)
    said = {"name": EMAIL, "code": portal.code()}
    asked = guest.post(f"{FORGOTTEN}/code", token=False, **said)
    assert asked.status == 200
    assert QUESTIONS[0].text in asked.body.decode()
    said |= {f"question-{place}": each.text for place, each in enumerate(QUESTIONS, 1)}
    answers = {f"answer-{place}": each for place, each in enumerate(ANSWERS, 1)}
    new = {"new": OTHER, "once-more": OTHER}

    def send(**given: str) -> Answer:
        return guest.post(f"{FORGOTTEN}/set", token=False, **{**said, **new, **given})

    assert send(**answers, **{"once-more": "x"}).status == 422
    assert "harder to guess" in send(**answers, **dict.fromkeys(new, "Password1234")).body.decode()
    assert send(**{"answer-1": ANSWERS[0]}).status == 403
    done = send(**answers)
    assert "Your password is set" in done.body.decode()
    assert ada.get("/me").status == 303
    assert portal.enter(OTHER)
    assert send(**answers).status == 403
