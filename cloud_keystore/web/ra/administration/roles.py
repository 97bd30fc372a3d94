"""The pages of roles: the built-in ones, and those that organisations define."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.errors import (
    BuiltInRole,
    InvalidInput,
    NotAllowed,
    RoleExists,
    RoleNotFound,
)
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.rights.custom_roles import CustomRoles
from cloud_keystore.people.roles import RoleListing, Roles
from cloud_keystore.web.ra import words
from cloud_keystore.web.ra.administration.places import ROLES, SECTION, paths
from cloud_keystore.web.ra.forms import Field, Question, Shape, ask
from cloud_keystore.web.ra.lists import Cell, Line, Link, Listing, ListPage
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

NAME = Field("name", "Name", "Words of a to z and 0 to 9 with hyphens, such as ward-clerk.")
RIGHTS = Field(
    "rights",
    "Whoever has it may",
    "You can give only the rights that you have yourself.",
    {right.value: text for right, text in words.RIGHTS.items()},
    shape=Shape.SEVERAL,
)
BUILT_IN = "Built in: cannot be changed or deleted"


@dataclass(frozen=True, slots=True)
class RolePages:
    """Lists, defines, changes and deletes roles."""

    views: Views
    roles: Roles
    custom_roles: CustomRoles
    organisations: Organisations

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        own = f"{ROLES}/{{role_id}}"
        return (
            *ListPage(self.views, ROLES, self.listing, SECTION).rows(),
            Row("GET", f"{ROLES}/add", self.ask_add),
            Row("POST", f"{ROLES}/add", self.add),
            Row("GET", f"{own}/change", self.ask_change),
            Row("POST", f"{own}/change", self.change),
            Row("GET", f"{own}/delete", self.ask_delete),
            Row("POST", f"{own}/delete", self.delete),
        )

    def listing(self, _request: Request) -> Listing:
        """The roles that an operator sees."""
        may = self.views.visits.places(Right.ROLES, current().visitor)
        return Listing(
            "Roles",
            {"name": "Role", "kind": "Kind", "organisation": "Of", "rights": "Rights"},
            [_line(each, may) for each in self.roles.known(actor=current().visitor.actor)],
            "There are no roles.",
            links=[Link("Define a role", f"{ROLES}/add")] if may else (),
        )

    def ask_add(self, _request: Request, wrong: str = "") -> Response:
        """The question which role is defined."""
        actor = current().visitor.actor
        called = paths(self.organisations.list_all(actor=actor))
        may = self.views.visits.places(Right.ROLES, current().visitor)
        places = {each: name for each, name in called.items() if each in may}
        question = Question(
            "Define a role",
            ("Operators of an organisation, and of those below it, can be granted it.",),
            "Define the role",
            ROLES,
            (
                NAME,
                Field("organisation", "Of", choices=places, shape=Shape.ONE_OF_MANY),
                RIGHTS._replace(value=Right.VIEW.value),
            ),
        )
        return ask(self.views, question, wrong)

    def add(self, request: Request) -> Response:
        """Define a role."""
        rights, actor = RIGHTS.answer.split(), current().visitor.actor
        try:
            self.custom_roles.define(given("name"), rights, given("organisation"), actor=actor)
        except (InvalidInput, RoleExists) as error:
            return self.ask_add(request, str(error))
        return see(ROLES, "added")

    def ask_change(self, request: Request, wrong: str = "") -> Response:
        """The question what a role becomes."""
        found = self._own(request)
        question = Question(
            f"Change the role {found.name}",
            ("What is changed holds at once, for all who have the role.",),
            "Change the role",
            ROLES,
            (NAME._replace(value=found.name), RIGHTS._replace(value=" ".join(found.rights))),
        )
        return ask(self.views, question, wrong)

    def change(self, request: Request) -> Response:
        """Change a role."""
        role_id, rights = str(request.path_params["role_id"]), RIGHTS.answer.split()
        try:
            if not rights:
                raise InvalidInput("rights are none: choose some, or delete the role")  # noqa: TRY301
            self.custom_roles.change(role_id, given("name"), rights, actor=current().visitor.actor)
        except (InvalidInput, RoleExists) as error:
            return self.ask_change(request, str(error))
        return see(ROLES, "changed")

    def ask_delete(self, request: Request) -> Response:
        """The question whether a role is deleted."""
        found = self._own(request)
        question = Question(
            f"Delete the role {found.name}?",
            ("It can be deleted if nobody has it, now or later.",),
            "Delete the role",
            ROLES,
            warns=True,
        )
        return ask(self.views, question)

    def delete(self, request: Request) -> Response:
        """Delete a role."""
        role_id = str(request.path_params["role_id"])
        self.custom_roles.delete(role_id, actor=current().visitor.actor)
        return see(ROLES, "removed")

    def _own(self, request: Request) -> RoleListing:
        """A role that the operator can change. Raises RoleNotFound, BuiltInRole, NotAllowed."""
        role_id, operator = str(request.path_params["role_id"]), current().visitor
        known = {each.id: each for each in self.roles.known(actor=operator.actor)}
        found = known.get(role_id)
        if found is None:
            raise RoleNotFound("there is no such role: look at the list")
        if found.built_in:
            raise BuiltInRole(f"{found.name} is built in: define a role of your own")
        if found.organisation_id not in self.views.visits.places(Right.ROLES, operator):
            raise NotAllowed("no role of yours lets you change this role: ask an RA manager")
        return found


def _line(role: RoleListing, places: Collection[str]) -> Line:
    rights = ", ".join(role.rights)
    cells = (
        Cell(role.name),
        Cell(BUILT_IN if role.built_in else "Own"),
        Cell(role.organisation_name or "All"),
        Cell(rights),
    )
    if role.built_in or role.organisation_id not in places:
        return Line(cells)
    own = f"{ROLES}/{role.id}"
    return Line(
        cells,
        [Link("Change", f"{own}/change", role.name), Link("Delete", f"{own}/delete", role.name)],
    )
