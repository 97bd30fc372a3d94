"""The pages of the tree of organisations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.errors import InvalidInput, OrganisationExists, OrganisationNotFound
from cloud_keystore.model.organisations import ROOT, Organisation
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.web.ra.administration.places import POLICIES, SECTION, paths
from cloud_keystore.web.ra.forms import Field, Question, Shape, ask
from cloud_keystore.web.ra.lists import Cell, Line, Link, Listing, ListPage, time_cell
from cloud_keystore.web.ra.views import ORGANISATIONS, Views
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

CONTACT = Field(
    "contact",
    "Help contact",
    "Whom its people ask for help; in each e-mail. Empty: whom those of the one above ask.",
)


@dataclass(frozen=True, slots=True)
class OrganisationPages:
    """Lists organisations, adds them, and gives them other names, places and contacts."""

    views: Views
    organisations: Organisations

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        change = f"{ORGANISATIONS}/{{organisation_id}}/change"
        return (
            *ListPage(self.views, ORGANISATIONS, self.listing, SECTION).rows(),
            Row("GET", f"{ORGANISATIONS}/add", self.ask_add),
            Row("POST", f"{ORGANISATIONS}/add", self.add),
            Row("GET", change, self.ask_change),
            Row("POST", change, self.change),
        )

    def listing(self, _request: Request) -> Listing:
        """The organisations that an operator sees, each below the one that it belongs to."""
        known, may = self._known(), self._places()
        called = paths(list(known.values()))
        return Listing(
            "Organisations",
            {"name": "Organisation", "above": "Below", "help": "Help contact", "added": "Added"},
            [_line(known[each], called, each in may) for each in called],
            "There are no organisations that you see.",
            ("Roles and policies of an organisation hold in those below it too.",),
            [Link("Add an organisation", f"{ORGANISATIONS}/add")] if may else (),
        )

    def ask_add(self, _request: Request, wrong: str = "") -> Response:
        """The question which organisation is added."""
        question = Question(
            "Add an organisation",
            ("It inherits the policies of the one above it.",),
            "Add the organisation",
            ORGANISATIONS,
            (
                Field("name", "Name"),
                Field("parent", "Below", choices=self._choices(), shape=Shape.ONE_OF_MANY),
            ),
        )
        return ask(self.views, question, wrong)

    def add(self, request: Request) -> Response:
        """Add an organisation."""
        try:
            self.organisations.add(given("name"), current().visitor, given("parent"))
        except (InvalidInput, OrganisationExists) as error:
            return self.ask_add(request, str(error))
        return see(ORGANISATIONS, "added")

    def ask_change(self, request: Request, wrong: str = "") -> Response:
        """The question what of an organisation becomes otherwise."""
        known = self._known()
        found = known.get(str(request.path_params["organisation_id"]))
        if found is None:
            raise OrganisationNotFound("there is no such organisation: look at the list")
        above = {"": "Where it is now"} | {
            each: name for each, name in self._choices().items() if each != found.id
        }
        place = Field("parent", "Below", "Rights go with the place.", above, "", Shape.ONE_OF_MANY)
        question = Question(
            f"Change {found.name}",
            ("Whoever has roles above its new place has them here too.",),
            "Change the organisation",
            ORGANISATIONS,
            (
                Field("name", "Name", value=found.name),
                *(() if found.id == ROOT else (place,)),
                CONTACT._replace(value=found.help),
            ),
        )
        return ask(self.views, question, wrong)

    def change(self, request: Request) -> Response:
        """Give an organisation another name, place or contact."""
        try:
            self.organisations.change(
                str(request.path_params["organisation_id"]),
                given("name"),
                given("parent") or None,
                given("contact"),
                actor=current().visitor.actor,
            )
        except (InvalidInput, OrganisationExists) as error:
            return self.ask_change(request, str(error))
        return see(ORGANISATIONS, "changed")

    def _known(self) -> Mapping[str, Organisation]:
        found = self.organisations.list_all(actor=current().visitor.actor)
        return {each.id: each for each in found}

    def _places(self) -> set[str]:
        """Where the operator adds and changes organisations."""
        return set(self.views.visits.places(Right.POLICY, current().visitor))

    def _choices(self) -> Mapping[str, str]:
        called, may = paths(list(self._known().values())), self._places()
        return {each: name for each, name in called.items() if each in may}


def _line(organisation: Organisation, called: Mapping[str, str], may: bool) -> Line:
    own, name = organisation.id, organisation.name
    links = [Link("Policies", f"{POLICIES}?organisation={own}", f"of {name}")]
    if may:
        links.insert(0, Link("Change", f"{ORGANISATIONS}/{own}/change", name))
    above = called.get(organisation.parent_id, "")
    cells = (Cell(called[own]), Cell(above), Cell(organisation.help))
    return Line((*cells, time_cell(organisation.create_time)), links)
