"""What is done about several people of the list at once: asked once, and told of each."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.cards.leaving import Leaving
from cloud_keystore.cards.life import Life
from cloud_keystore.cards.showing import Showing, Whole
from cloud_keystore.http.problems import of_error
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import InvalidInput, KeystoreError
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.people import People
from cloud_keystore.web.ra.forms import Field, Question, ask
from cloud_keystore.web.ra.people import PAGE, PEOPLE
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.ra.visiting import AT
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

SEVERAL = f"{AT}/several"
DONE = f"{SEVERAL}/done"
LONGEST_REASON = 300
REASON = Field("reason", "Why?", "The holders and the journal are told.")


class Act(NamedTuple):
    """What is done: the right, its question, and what a person has of which it is done."""

    right: Right
    button: str
    said: str
    of: Callable[[Whole], str]  # in words; empty if there is nothing to do
    fields: tuple[Field, ...] = ()
    warns: bool = False


def _to_suspend(whole: Whole) -> str:
    found = [each.card.serial for each in whole.cards if each.card.state is CardState.ACTIVE]
    return f"card {', '.join(found)}" if found else ""


def _to_invite(whole: Whole) -> str:
    if whole.user.state.value == "closed" or whole.progress.stage.value == "enrolled":
        return ""
    return whole.user.email or "no e-mail address: nobody is told"


def _to_close(whole: Whole) -> str:
    if whole.user.state.value == "closed":
        return ""
    return f"cards {len(whole.cards)}, phones {len(whole.devices)}"


ACTS: Mapping[str, Act] = MappingProxyType(
    {
        "invite": Act(
            Right.DEVICES,
            "Invite again",
            "Each of them gets another invitation for a phone; the one before is of no use then.",
            _to_invite,
        ),
        "suspend": Act(
            Right.SUSPEND,
            "Suspend their cards",
            "Nobody can use these cards until somebody puts each back in use. Their holders are "
            "told by e-mail.",
            _to_suspend,
        ),
        "close": Act(
            Right.REVOKE,
            "Close them",
            "Use this when people leave. Their cards are revoked for ever, their phones removed, "
            "and their Windows accounts taken away. What happened is kept.",
            _to_close,
            (REASON,),
            warns=True,
        ),
    }
)


class Result(NamedTuple):
    """What has become of one person. The name is found when it is shown: addresses name nobody."""

    user_id: str
    text: str
    is_done: bool
    name: str = ""


@dataclass(frozen=True, slots=True)
class SeveralPages:
    """Asks once, does each by itself, and tells of each: what is refused for one is done for the
    others.
    """

    views: Views
    showing: Showing
    people: People
    cards: Life
    leaving: Leaving

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("GET", SEVERAL, self.ask),
            Row("POST", SEVERAL, self.do),
            Row("GET", DONE, self.tell),
        )

    def ask(self, request: Request) -> Response:
        """The question, with all whom it is about."""
        said = request.query_params
        return self._asked(said.get("act", ""), said.getlist("user"))

    def do(self, _request: Request) -> Response:
        """Do it, one person after the other, and lead to what has become of each, so that nobody
        does it again by loading the page.
        """
        name, users = given("act"), given("users").split()
        act = _act(name, users)
        if act.fields:
            try:
                text_field("reason", given("reason"), LONGEST_REASON)
            except InvalidInput as error:
                return self._asked(name, users, str(error))
        does = {"invite": self._invite, "suspend": self._suspend, "close": self._close}[name]
        results = [self._result(each, act, does) for each in users]
        told = current().sealed("told", _written(name, results))
        return see(f"{DONE}?{urlencode({'told': told})}")

    def tell(self, request: Request) -> Response:
        """What has become of each person, as this visit has done it."""
        text = current().opened("told", request.query_params.get("told", ""))
        if not text:
            raise InvalidInput("this page is of another log-in: look at the people themselves")
        name, results = _read(text)
        shown = [each._replace(name=self._name(each.user_id)) for each in results]
        return self.views.page(
            "several",
            title=ACTS[name].button,
            results=[(each, f"{PEOPLE}/{each.user_id}") for each in shown],
            done=sum(each.is_done for each in shown),
            back=PEOPLE,
        )

    def _name(self, user_id: str) -> str:
        try:
            return self.showing.show(user_id, current().visitor).user.display_name
        except KeystoreError:  # nobody who can be seen
            return user_id

    def _asked(self, name: str, users: Sequence[str], wrong: str = "") -> Response:
        act = _act(name, users)
        found = [self.showing.show(each, current().visitor) for each in dict.fromkeys(users)]
        listed = [f"{each.user.display_name}: {act.of(each) or 'nothing to do'}" for each in found]
        question = Question(
            f"{act.button}? {len(found)} {'person' if len(found) == 1 else 'people'}",
            (act.said, *listed),
            act.button,
            PEOPLE,
            act.fields,
            {"act": name, "users": " ".join(each.user.id for each in found)},
            warns=act.warns,
        )
        return ask(self.views, question, wrong)

    def _result(self, user_id: str, act: Act, does: Callable[[Whole, Identity], str]) -> Result:
        """What becomes of one person."""
        try:
            whole = self.showing.show(user_id, current().visitor)
            if not act.of(whole):
                return Result(user_id, "There was nothing to do.", is_done=False)
            return Result(user_id, does(whole, current().visitor), is_done=True)
        except KeystoreError as error:
            return Result(user_id, f"{of_error(error).detail}.", is_done=False)

    def _invite(self, whole: Whole, operator: Identity) -> str:
        self.people.invite_device(whole.user.id, actor=operator.actor)
        if whole.user.email:
            return "The invitation is on its way."
        return "There is no e-mail address: open the person, and invite a phone to see the code."

    def _suspend(self, whole: Whole, operator: Identity) -> str:
        found = [each.card for each in whole.cards if each.card.state is CardState.ACTIVE]
        for card in found:
            self.cards.suspend(card.serial, actor=operator.actor)
        return f"Suspended: {', '.join(each.serial for each in found)}."

    def _close(self, whole: Whole, operator: Identity) -> str:
        self.leaving.close(whole.user.id, given("reason"), operator)
        return "Closed."


def _written(name: str, results: Sequence[Result]) -> str:
    """What was done, as an address has it."""
    said = [name, *((each.user_id, each.text, each.is_done) for each in results)]
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(said).encode())).decode().rstrip("=")


def _read(text: str) -> tuple[str, list[Result]]:
    """What `_written` has written."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    name, *results = json.loads(zlib.decompress(raw))
    return name, [Result(*each) for each in results]


def _act(name: str, users: Sequence[str]) -> Act:
    """What is asked for; raises InvalidInput."""
    if name not in ACTS:
        raise InvalidInput("say what is to be done: choose it at the list of people")
    if not users:
        raise InvalidInput("nobody is chosen: choose people in the list first")
    if len(users) > PAGE:
        raise InvalidInput(f"{len(users)} people are chosen: choose at most {PAGE}")
    return ACTS[name]
