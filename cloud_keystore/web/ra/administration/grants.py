"""The pages of who has which role where, and until when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput, LastOperator, NotAllowed, RoleNotFound
from cloud_keystore.model.people import IdentityState, Role
from cloud_keystore.model.rights.roles import BuiltIn, Right
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.roles import AssignmentListing, Roles, Wish
from cloud_keystore.web.ra.administration.places import GRANTS, SECTION, paths
from cloud_keystore.web.ra.forms import Field, Question, Shape, ask
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
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

DAY = timedelta(days=1)
KINDS = (Role.OPERATOR, Role.AUDITOR)  # who get roles here
STATES = Choice(
    "state",
    "State",
    {"": "All", "in force": "In force", "will begin": "Will begin", "ended": "Ended"},
)
COLOURS: Mapping[str, str] = {"in force": "green", "will begin": "blue", "ended": "grey"}
COLUMNS = {
    "who": "Who",
    "kind": "Kind",
    "role": "Role",
    "where": "Where",
    "from": "From",
    "until": "Until",
    "state": "State",
}


@dataclass(frozen=True, slots=True)
class GrantPages:
    """Lists, grants and withdraws roles."""

    views: Views
    roles: Roles
    identities: Identities
    organisations: Organisations
    clock: Clock

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        withdraw = f"{GRANTS}/{{grant_id}}/withdraw"
        return (
            *ListPage(self.views, GRANTS, self.listing, SECTION).rows(),
            Row("GET", f"{GRANTS}/add", self.ask_grant),
            Row("POST", f"{GRANTS}/add", self.grant),
            Row("GET", withdraw, self.ask_withdraw),
            Row("POST", withdraw, self.withdraw),
        )

    def listing(self, request: Request) -> Listing:
        """What was granted where the operator could grant it."""
        now, wanted = self.clock(), chosen_of(request, STATES)
        found = self.roles.list_all(actor=current().visitor.actor)
        return Listing(
            "Who has which role",
            COLUMNS,
            [_line(each, now) for each in found if wanted in ("", each.assignment.state_at(now))],
            "Nobody has such a role.",
            links=[Link("Grant a role", f"{GRANTS}/add")],
            choices=(STATES,),
        )

    def ask_grant(self, _request: Request, wrong: str = "") -> Response:
        """The question who is granted which role."""
        operator = current().visitor
        may = self.views.visits.places(Right.ROLES, operator)
        called = paths(self.organisations.list_all(actor=operator.actor))
        known = self.roles.known(actor=operator.actor)
        roles = {
            each.id: each.name if each.built_in else f"{each.name}, of {each.organisation_name}"
            for each in known
            if each.id != BuiltIn.PORTAL  # which is for programs
        }
        places = {each: name for each, name in called.items() if each in may}
        question = Question(
            "Grant a role",
            ("Nobody grants more rights than they have, or for longer.",),
            "Grant the role",
            GRANTS,
            (
                Field("who", "To", choices=self._others(called), shape=Shape.ONE_OF_MANY),
                Field("role", "Role", choices=roles, shape=Shape.ONE_OF_MANY),
                Field("organisation", "In", choices=places, shape=Shape.ONE_OF_MANY),
                Field("until", "Last day", "Leave it empty if it has no end.", shape=Shape.DATE),
            ),
        )
        return ask(self.views, question, wrong)

    def grant(self, request: Request) -> Response:
        """Grant a role."""
        try:
            until = _end_of(given("until"))
            wish = Wish(given("who"), given("role"), given("organisation"), None, until)
            self.roles.grant(wish, actor=current().visitor.actor)
        except (InvalidInput, NotAllowed) as error:
            return self.ask_grant(request, str(error))
        return see(GRANTS, "granted")

    def ask_withdraw(self, request: Request, wrong: str = "") -> Response:
        """The question whether a role is withdrawn."""
        grant_id = str(request.path_params["grant_id"])
        known = self.roles.list_all(actor=current().visitor.actor)
        found = next((each for each in known if each.assignment.id == grant_id), None)
        if found is None:
            raise RoleNotFound("there is no such role of anybody: look at the list")
        who, role = found.identity.display_name, found.role_name
        question = Question(
            "Withdraw this role?",
            (f"{who} is not {role} in {found.organisation_name} any more, at once.",),
            "Withdraw the role",
            GRANTS,
        )
        return ask(self.views, question, wrong)

    def withdraw(self, request: Request) -> Response:
        """Withdraw a role."""
        grant_id = str(request.path_params["grant_id"])
        try:
            self.roles.withdraw(grant_id, actor=current().visitor.actor)
        except (LastOperator, NotAllowed) as error:
            return self.ask_withdraw(request, str(error))
        return see(GRANTS, "withdrawn")

    def _others(self, called: Mapping[str, str]) -> Mapping[str, str]:
        """Who can be granted roles by the operator, by identifier."""
        operator = current().visitor
        found = [
            each
            for kind in KINDS
            for each in self.identities.list_of(kind, actor=operator.actor)
            if each.state is not IdentityState.REMOVED and each.id != operator.id
        ]
        names = {
            each.id: f"{each.display_name}, {each.role.name.lower()}"
            f" of {called.get(each.organisation_id, 'another organisation')}"
            for each in found
        }
        same = Counter(names.values())
        return {
            each: name if same[name] == 1 else f"{name}, {each}" for each, name in names.items()
        }


def _end_of(day: str) -> datetime | None:
    """When a day is over; None for none. Raises InvalidInput."""
    if not day:
        return None
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) + DAY
    except (ValueError, OverflowError):
        raise InvalidInput("last day is none: write it as 2026-11-30") from None


def _line(listing: AssignmentListing, now: datetime) -> Line:
    granted, who = listing.assignment, listing.identity
    state = granted.state_at(now)
    mine = who.id == current().visitor.id
    return Line(
        (
            Cell(who.display_name),
            Cell({"client": "API client"}.get(who.role.name.lower(), who.role.name.capitalize())),
            Cell(listing.role_name),
            Cell(listing.organisation_name),
            time_cell(granted.from_time),
            time_cell(granted.until_time),
            Cell(state.capitalize(), colour=COLOURS[state]),
        ),
        [Link("Withdraw", f"{GRANTS}/{granted.id}/withdraw", f"from {who.display_name}")]
        if state != "ended" and not mine
        else (),
    )
