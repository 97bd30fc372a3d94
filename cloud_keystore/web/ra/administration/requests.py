"""The pages of what operators have asked for, and another one has to approve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.cards.requests import RequestListing, Requests
from cloud_keystore.model.errors import InvalidInput, NotAllowed, RequestNotFound
from cloud_keystore.model.policies import Term, decode
from cloud_keystore.model.rights.requests import Action, Deed, RequestState
from cloud_keystore.web.ra.administration.terms import WORDS
from cloud_keystore.web.ra.forms import Question, ask
from cloud_keystore.web.ra.lists import (
    Cell,
    Choice,
    Line,
    Link,
    Listing,
    ListPage,
    chosen_of,
    time_cell,
)
from cloud_keystore.web.ra.views import REQUESTS, Views
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current

WHICH = Choice("which", "Which", {"": "Waiting", "all": "All"})
ACTIONS: Mapping[Action, str] = MappingProxyType(
    {
        Action.REVOKE_CARD: "Revoke the card",
        Action.REPLACE_CARD: "Replace the card",
        Action.CLOSE_USER: "Close the person",
        Action.GRANT_ROLE: "Grant a role to",
        Action.CHANGE_ROLE: "Change the role",
        Action.SET_POLICY: "Set the policy of",
        Action.SET_FOUR_EYES: "Change what needs another operator, in",
    }
)
COLOURS: Mapping[RequestState, str] = MappingProxyType(
    {
        RequestState.OPEN: "yellow",
        RequestState.APPROVED: "green",
        RequestState.REFUSED: "red",
        RequestState.EXPIRED: "grey",
    }
)
COLUMNS = {
    "what": "What",
    "where": "Organisation",
    "terms": "Terms",
    "asked_by": "Asked by",
    "asked": "Asked",
    "until": "Until",
    "state": "State",
    "decided_by": "Decided by",
}


@dataclass(frozen=True, slots=True)
class RequestPages:
    """Lists requests, approves and refuses them."""

    views: Views
    requests: Requests

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        own = f"{REQUESTS}/{{request_id}}"
        return (
            *ListPage(self.views, REQUESTS, self.listing).rows(),
            Row("GET", f"{own}/approve", self.ask_approve),
            Row("POST", f"{own}/approve", self.approve),
            Row("GET", f"{own}/refuse", self.ask_refuse),
            Row("POST", f"{own}/refuse", self.refuse),
        )

    def listing(self, request: Request) -> Listing:
        """The requests that wait, or all."""
        operator, decided = current().visitor, chosen_of(request, WHICH) == "all"
        found = self.requests.list_all(decided=decided, actor=operator.actor)
        places = {
            right: self.views.visits.places(right, operator)
            for right in {each.request.wanted.right for each in found}
        }
        return Listing(
            "Requests",
            COLUMNS,
            [
                _line(
                    each, each.request.wanted.organisation_id in places[each.request.wanted.right]
                )
                for each in found
            ],
            "Nothing waits for another operator.",
            ("What one operator asks for here, another one has to approve within a day.",),
            choices=(WHICH,),
            sort="asked",
        )

    def ask_approve(self, request: Request, wrong: str = "") -> Response:
        """The question whether something is approved, with all that it depends on."""
        found = self._found(request)
        question = Question(
            f"{_what(found)}?",
            (
                f"{found.asked_by_name} has asked for this, in {found.organisation_name}. It is "
                "done at once.",
                *(f"{each}." for each in _terms(found.request.wanted)),
            ),
            "Approve it",
            REQUESTS,
            warns=True,
        )
        return ask(self.views, question, wrong)

    def approve(self, request: Request) -> Response:
        """Approve what another operator has asked for."""
        request_id = str(request.path_params["request_id"])
        try:
            self.requests.approve(request_id, actor=current().visitor.actor)
        except (NotAllowed, InvalidInput) as error:
            return self.ask_approve(request, str(error))
        return see(REQUESTS, "approved")

    def ask_refuse(self, request: Request) -> Response:
        """The question whether something is refused."""
        found = self._found(request)
        question = Question(
            "Refuse this request?",
            (f"{found.asked_by_name} has asked: {_what(found)}.", "Nothing is done then."),
            "Refuse it",
            REQUESTS,
        )
        return ask(self.views, question)

    def refuse(self, request: Request) -> Response:
        """Refuse a request, or take back one's own."""
        request_id = str(request.path_params["request_id"])
        self.requests.refuse(request_id, actor=current().visitor.actor)
        return see(REQUESTS, "refused")

    def _found(self, request: Request) -> RequestListing:
        request_id = str(request.path_params["request_id"])
        known = self.requests.list_all(decided=False, actor=current().visitor.actor)
        for each in known:
            if each.request.id == request_id:
                return each
        raise RequestNotFound("there is no such request that waits: look at the list")


def _what(listing: RequestListing) -> str:
    wanted = listing.request.wanted
    return f"{ACTIONS[wanted.action]} {wanted.about}"


def _terms(wanted: Deed) -> Sequence[str]:
    """All that an operation depends on, in words."""
    if wanted.action is Action.SET_POLICY:
        policy, own = decode(wanted.terms["document"]), wanted.terms.get("own")
        terms = Term if own is None else [Term(each) for each in own.split()]
        return [
            f"Card type: {wanted.terms['profile'] or 'all'}",
            *(f"{WORDS[each].label}: {WORDS[each].shown(policy)}" for each in terms),
        ]
    return [
        f"{name.replace('_', ' ').capitalize()}: {value or 'none'}"
        for name, value in sorted(wanted.terms.items())
    ]


def _line(listing: RequestListing, may: bool) -> Line:
    request, state, what = listing.request, listing.state, _what(listing)
    own = f"{REQUESTS}/{request.id}"
    mine = request.asked_by == current().visitor.id
    links = []
    if state is RequestState.OPEN and may and not mine:
        links.append(Link("Approve", f"{own}/approve", what))
    if state is RequestState.OPEN and (may or mine):
        links.append(Link("Take back" if mine else "Refuse", f"{own}/refuse", what))
    return Line(
        (
            Cell(what),
            Cell(listing.organisation_name),
            Cell("; ".join(_terms(request.wanted))),
            Cell(listing.asked_by_name),
            time_cell(request.create_time),
            time_cell(request.expire_time),
            Cell(state.value.capitalize(), colour=COLOURS[state]),
            Cell(listing.decided_by_name),
        ),
        links,
    )
