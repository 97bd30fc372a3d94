"""The pages of policies: which terms hold for an organisation, from where it has each, and setting
one of them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.errors import ChangedMeanwhile, InvalidInput, OrganisationNotFound
from cloud_keystore.model.policies import PolicyVersion, Term
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.model.terms.resolving import Origin
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.policies.explaining import Explained, Explaining, Source
from cloud_keystore.web.ra.administration.places import POLICIES, SECTION, paths
from cloud_keystore.web.ra.administration.terms import WORDS
from cloud_keystore.web.ra.forms import Field, Question, ask
from cloud_keystore.web.ra.lists import Cell, Choice, Line, Link, Listing, ListPage, chosen_of
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

EVERY_PROFILE = {"": "All card types", **{each: each for each in PROFILES}}
HOLDS = Field(
    "holds",
    "What holds here",
    choices={"own": "What is set below", "inherited": "What is inherited from above"},
)
ORIGINS = {Origin.OWN: "Set here", Origin.ALL: "All organisations", Origin.DEFAULT: "Built in"}


@dataclass(frozen=True, slots=True)
class Scope:
    """For what a policy is set."""

    organisation_id: str
    profile: str
    called: str

    @property
    def query(self) -> str:
        """It in an address."""
        return urlencode({"organisation": self.organisation_id, "profile": self.profile})


@dataclass(frozen=True, slots=True)
class PolicyPages:
    """Explains policies, and sets their terms."""

    views: Views
    organisations: Organisations
    explaining: Explaining

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            *ListPage(self.views, POLICIES, self.listing, SECTION).rows(),
            Row("GET", f"{POLICIES}/{{term}}", self.ask_set),
            Row("POST", f"{POLICIES}/{{term}}", self.set_term),
        )

    def listing(self, request: Request) -> Listing:
        """What holds for an organisation's cards of a profile, and from where."""
        operator, called = current().visitor, self._called()
        organisation = Choice("organisation", "Organisation", called)
        profile = Choice("profile", "Card type", EVERY_PROFILE)
        scope = _scope(chosen_of(request, organisation), chosen_of(request, profile), called)
        may = scope.organisation_id in self.views.visits.places(Right.POLICY, operator)
        explained = self._explained(scope)
        return Listing(
            f"Policies of {scope.called}",
            {"term": "Term", "value": "Value", "from": "From", "policy": "Policy"},
            [_line(term, explained, called, scope, may) for term in Term],
            "",
            ("What is not set here comes from the organisation above, term by term.",),
            choices=(organisation, profile),
        )

    def ask_set(self, request: Request, wrong: str = "") -> Response:
        """The question what a term becomes."""
        term, scope = _term(request), self._scope(request)
        explained, words = self._explained(scope), WORDS[term]
        question = Question(
            f"{words.label}, for {scope.called}",
            (
                f"Now: {words.shown(explained.version.policy)} "
                f"({_from(explained.sources[term], self._called())}).",
                "It holds at once, for organisations below that inherit it too, and in open "
                "sessions.",
            ),
            "Set it",
            f"{POLICIES}?{scope.query}",
            (
                HOLDS,
                *words.fields(explained.version.policy),
            ),
            {"seen": given("seen") or explained.version.name},
        )
        return ask(self.views, question, wrong)

    def set_term(self, request: Request) -> Response:
        """Set a term, or inherit it again."""
        term, scope, operator = _term(request), self._scope(request), current().visitor
        explained = self._explained(scope)
        try:
            if given("holds") not in HOLDS.choices:
                raise InvalidInput("say what holds here: choose one")  # noqa: TRY301
            sets, policy = given("holds") == "own", explained.version.policy
            policy = WORDS[term].answered(policy) if sets else policy
        except InvalidInput as error:
            return self.ask_set(request, str(error))
        if given("seen") != explained.version.name:
            raise ChangedMeanwhile("the policy was changed meanwhile: open the page again")
        before = self._own(scope)
        own = (before.own if before else frozenset()) - {term} | ({term} if sets else set())
        self.organisations.set_policy(
            scope.organisation_id, scope.profile, policy, operator, tuple(sorted(own))
        )
        return see(f"{POLICIES}?{scope.query}", "changed")

    def _called(self) -> Mapping[str, str]:
        return paths(self.organisations.list_all(actor=current().visitor.actor))

    def _scope(self, request: Request) -> Scope:
        said = request.query_params
        return _scope(said.get("organisation", ""), said.get("profile", ""), self._called())

    def _explained(self, scope: Scope) -> Explained:
        return self.explaining.of_organisation(
            scope.organisation_id, scope.profile, actor=current().visitor.actor
        )

    def _own(self, scope: Scope) -> PolicyVersion | None:
        """What is set for a scope itself."""
        found = self.organisations.list_policies(earlier=False, actor=current().visitor.actor)
        at = (scope.organisation_id, scope.profile)
        return next((each for each in found if (each.organisation_id, each.profile) == at), None)


def _scope(organisation_id: str, profile: str, called: Mapping[str, str]) -> Scope:
    """What somebody asks about, if they see it. Raises OrganisationNotFound, InvalidInput."""
    if organisation_id not in called:
        raise OrganisationNotFound("there is no such organisation: look at the list")
    if profile not in EVERY_PROFILE:
        raise InvalidInput("there is no such card type: look at the list")
    name = called[organisation_id]
    return Scope(organisation_id, profile, f"{name}, {profile}" if profile else name)


def _term(request: Request) -> Term:
    try:
        return Term(str(request.path_params["term"]))
    except ValueError:
        raise InvalidInput("there is no such term: look at the list") from None


def _from(source: Source, called: Mapping[str, str]) -> str:
    if source.origin in ORIGINS:
        return ORIGINS[source.origin]
    return f"Inherited from {called.get(source.organisation_id, 'above')}"


def _line(
    term: Term, explained: Explained, called: Mapping[str, str], scope: Scope, may: bool
) -> Line:
    words, source = WORDS[term], explained.sources[term]
    address = f"{POLICIES}/{term.value}?{scope.query}"
    return Line(
        (
            Cell(words.label),
            Cell(words.shown(explained.version.policy)),
            Cell(_from(source, called)),
            Cell(source.policy),
        ),
        [Link("Change", address, words.label)] if may else (),
    )
