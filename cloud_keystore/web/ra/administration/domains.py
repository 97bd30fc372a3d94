"""The pages of the domains that e-mail addresses can have."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.domains import Domains
from cloud_keystore.web.ra.administration.places import DOMAINS, SECTION
from cloud_keystore.web.ra.forms import Field, Question, ask
from cloud_keystore.web.ra.lists import Cell, Line, Link, Listing, ListPage, time_cell
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given


@dataclass(frozen=True, slots=True)
class DomainPages:
    """Lists domains, allows them, and forbids them again."""

    views: Views
    domains: Domains

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            *ListPage(self.views, DOMAINS, self.listing, SECTION).rows(),
            Row("GET", f"{DOMAINS}/add", self.ask_add),
            Row("POST", f"{DOMAINS}/add", self.add),
            Row("GET", f"{DOMAINS}/remove", self.ask_remove),
            Row("POST", f"{DOMAINS}/remove", self.remove),
        )

    def listing(self, _request: Request) -> Listing:
        """The domains."""
        operator = current().visitor
        may = Right.DOMAINS in self.views.visits.held(operator).everywhere
        return Listing(
            "E-mail domains",
            {"name": "Domain", "added": "Added"},
            [
                Line(
                    (Cell(each.name), time_cell(each.create_time)),
                    [Link("Remove", f"{DOMAINS}/remove?name={each.name}", each.name)]
                    if may
                    else (),
                )
                for each in self.domains.list_all(actor=operator.actor)
            ],
            "E-mail addresses can have any domain, until one is added: then only those here.",
            ("New e-mail addresses have one of these domains. Those that people have stay.",),
            [Link("Add a domain", f"{DOMAINS}/add")] if may else (),
        )

    def ask_add(self, _request: Request, wrong: str = "") -> Response:
        """The question which domain is allowed."""
        question = Question(
            "Add a domain",
            ("From now on, new e-mail addresses have one of the domains of the list.",),
            "Add the domain",
            DOMAINS,
            (Field("name", "Domain", "Such as example.org, without an @."),),
        )
        return ask(self.views, question, wrong)

    def add(self, request: Request) -> Response:
        """Allow a domain."""
        try:
            if not self.domains.add(given("name"), actor=current().visitor.actor):
                return self.ask_add(request, "this domain is in the list already")
        except InvalidInput as error:
            return self.ask_add(request, str(error))
        return see(DOMAINS, "added")

    def ask_remove(self, request: Request) -> Response:
        """The question whether a domain is forbidden."""
        name = request.query_params.get("name", "")
        question = Question(
            "Remove this domain?",
            (
                f"New e-mail addresses cannot be at {name} any more. Those that people have stay.",
                "If it is the last one of the list, addresses can have any domain.",
            ),
            "Remove the domain",
            DOMAINS,
            hidden={"name": name},
        )
        return ask(self.views, question)

    def remove(self, _request: Request) -> Response:
        """Forbid a domain."""
        self.domains.remove(given("name"), actor=current().visitor.actor)
        return see(DOMAINS, "removed")
