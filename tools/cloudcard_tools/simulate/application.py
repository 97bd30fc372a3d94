"""All simulators behind one table of paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple, TypeAlias

from joserfc.jwk import RSAKey

from cloudcard_tools.simulate import faults, pages
from cloudcard_tools.simulate.broker import broker as ssb
from cloudcard_tools.simulate.broker import messages
from cloudcard_tools.simulate.broker.broker import Broker
from cloudcard_tools.simulate.cards import Cards
from cloudcard_tools.simulate.cis2 import places
from cloudcard_tools.simulate.cis2.clients import Client
from cloudcard_tools.simulate.cis2.grants import Grants
from cloudcard_tools.simulate.cis2.leaving import Leaving
from cloudcard_tools.simulate.cis2.places import Places
from cloudcard_tools.simulate.cis2.provider import SESSION, Provider
from cloudcard_tools.simulate.cis2.proving import Proving
from cloudcard_tools.simulate.cis2.sessions import Sessions
from cloudcard_tools.simulate.cis2.signing import Signing
from cloudcard_tools.simulate.cis2.tokens import Tokens
from cloudcard_tools.simulate.codes import Codes
from cloudcard_tools.simulate.exchange import Malformed, Request, Response, as_json, redirect
from cloudcard_tools.simulate.faults import Fault, Faults, NoFault
from cloudcard_tools.simulate.issuance import service as issuing
from cloudcard_tools.simulate.issuance.certifying import Authority
from cloudcard_tools.simulate.issuance.service import Issuance
from cloudcard_tools.simulate.phones import Phones
from cloudcard_tools.simulate.signing_service import service
from cloudcard_tools.simulate.signing_service.requests import Requests
from cloudcard_tools.simulate.signing_service.service import SigningService

FAULTS, PEOPLE, END = "/simulator/faults", "/simulator/people", "/simulator/end"
START = "/"
OWN = frozenset((START, FAULTS, PEOPLE, END))  # which no fault reaches
CUT = frozenset(("application/json", messages.XML))  # which a fault ends in the middle
Handler: TypeAlias = Callable[[Request, datetime, Faults], Response]


class Route(NamedTuple):
    """What a path answers, and to which methods. Some paths want a card's certificate."""

    handler: Handler
    methods: frozenset[str]
    with_card: bool = False


GET, POST, BOTH = frozenset(("GET",)), frozenset(("POST",)), frozenset(("GET", "POST"))


@dataclass(slots=True)
class Simulators:
    """The simulators of one process. One request at a time."""

    at: Places
    clients: Mapping[str, Client]
    cards: Cards
    key: RSAKey = field(repr=False)
    fetch: Callable[[str], bytes]
    """Fetches a client's keys; raises CallRefused."""
    faults: Faults = field(default_factory=Faults)
    phones: Phones | None = None
    """Rings phones, if the simulators are a workstation of a keystore."""
    told: list[tuple[str, str]] = field(default_factory=list)
    """Clients that were told of logging out, and with which result."""
    authority: Authority | None = None
    """By which cards are certified; None: none are."""
    routes: Mapping[str, Route] = field(init=False)
    sessions: Sessions = field(init=False)
    leaving: Leaving = field(init=False)

    def __post_init__(self) -> None:
        signing, grants = Signing(self.at.issuer, self.key), Grants()
        self.sessions = Sessions()
        self.leaving = Leaving(
            self.clients, self.sessions, grants, signing, SESSION, lambda: self.faults
        )
        audiences = frozenset((self.at.at(places.TOKEN), self.at.issuer))
        proving = Proving(self.clients, audiences, self.fetch)
        tokens = Tokens(proving, grants, self.sessions, signing)
        provider = Provider(
            self.at,
            self.clients,
            self.cards,
            Codes(self.cards.directory.person),
            self.sessions,
            grants,
            self.leaving,
            self.phones,
        )
        signing_service = SigningService(
            self.at,
            Requests(self.clients, self.at.at(service.BASE), self.fetch),
            self.cards,
        )
        broker = Broker(self.at, self.cards)
        self.routes = {
            ssb.ACTIVATE: Route(broker.activate, POST),
            ssb.VALIDATE: Route(broker.validate, POST),
            ssb.SELECTION: Route(broker.select, GET),
            ssb.ASSERTION: Route(broker.assertion, GET),
            ssb.LOGOUT: Route(broker.logout, BOTH),
            service.REQUEST: Route(signing_service.request, POST),
            service.RESPONSE: Route(signing_service.response, GET),
            service.SIGN: Route(signing_service.page, BOTH),
            service.TRACKER: Route(signing_service.tracker, GET),
            START: Route(self._start, GET),
            PEOPLE: Route(self._people, GET),
            FAULTS: Route(self._set_faults, POST),
            END: Route(self._end, POST),
            places.DISCOVERY: Route(self._discovery, GET),
            places.KEYS: Route(tokens.keys, GET),
            places.AUTHORIZE: Route(provider.authorize, BOTH),
            places.CONTINUE: Route(provider.resume, GET),
            places.ROLE: Route(provider.role, BOTH),
            places.CODE: Route(provider.by_code, POST),
            places.CHALLENGE: Route(provider.challenge, BOTH),
            places.PHONE: Route(provider.by_phone, BOTH),
            places.PASSCODE: Route(provider.passcode, POST),
            places.CARD: Route(provider.by_card, GET, with_card=True),
            places.TOKEN: Route(tokens.token, POST),
            places.USERINFO: Route(tokens.userinfo, BOTH),
            places.END_SESSION: Route(self.leaving.end_session, BOTH),
        }

        if self.authority is not None:
            issuance = Issuance(self.clients, self.authority)
            self.routes = {
                **self.routes,
                issuing.ISSUANCES: Route(issuance.issue, POST),
                issuing.AUTHORITY: Route(issuance.show_authority, GET),
                issuing.LIST: Route(issuance.revocations, GET),
            }

    def answer(self, request: Request, now: datetime, *, with_card: bool) -> Response:
        """The answer to a request, which came where a card's certificate is asked for or not."""
        if request.fields.get("host") not in self.at.hosts:
            return pages.refusal(
                HTTPStatus.MISDIRECTED_REQUEST, f"this is {self.at.host}, and nothing else"
            )
        # What follows a path that ends so is a token.
        path, _, rest = request.path.rpartition("/")
        route = self.routes.get(f"{path}/" if rest and path else request.path)
        route = self.routes.get(request.path, route)
        if route is None or route.with_card != with_card:
            return pages.refusal(HTTPStatus.NOT_FOUND, "nothing is here")
        if request.method not in route.methods:
            return pages.refusal(
                HTTPStatus.METHOD_NOT_ALLOWED, f"use {' or '.join(sorted(route.methods))}"
            )
        if Fault.DOWN in self.faults and request.path not in OWN:
            return pages.refusal(HTTPStatus.SERVICE_UNAVAILABLE, "down on demand")
        try:
            response = route.handler(request, now, self.faults)
        except Malformed as error:
            return pages.refusal(HTTPStatus.BAD_REQUEST, str(error))
        if Fault.MALFORMED in self.faults and response.media_type in CUT:
            half = response.body[: len(response.body) // 2]
            return Response(response.status, half, response.media_type, response.fields)
        return response

    def delay(self, path: str) -> int:
        """Seconds by which the answer to a path is late."""
        return 0 if path in OWN else self.faults.delay

    def facts(self) -> Mapping[str, str]:
        """What runs where."""
        return {
            "start": self.at.at(START),
            "issuer": self.at.issuer,
            "discovery": self.at.at(places.DISCOVERY),
            "card": self.at.at_card(places.CARD),
            "broker": self.at.at(ssb.ACTIVATE),
            "signing": self.at.at(service.BASE),
            "tracker": self.at.at(service.TRACKER),
            "people": self.at.at(PEOPLE),
            "issuance": self.at.at(issuing.ISSUANCES),
        }

    def _start(self, request: Request, now: datetime, _faults: Faults) -> Response:  # noqa: ARG002
        sessions = self.sessions.all(now)
        return pages.page(
            "Simulators",
            pages.heading("What runs where"),
            pages.table(("What", "Where"), list(self.facts().items())),
            pages.link(PEOPLE, "People of the directory"),
            pages.heading("Clients"),
            pages.table(
                ("Client", "Proves itself by"),
                [
                    (each.id, "private_key_jwt" if each.has_keys else "client_secret_post")
                    for each in self.clients.values()
                ],
            ),
            pages.heading("Logged in"),
            pages.table(
                ("Person", "Number", "How", "Clients"),
                [
                    (
                        each.login.person.name,
                        each.login.person.id,
                        each.login.way.value,
                        ", ".join(sorted(each.clients)),
                    )
                    for each in sessions
                ],
            ),
            pages.form(END, "Log everybody out", {}) if sessions else "",
            pages.heading("Told of logging out"),
            pages.table(("Client", "Result"), self.told),
            pages.heading("Faults"),
            pages.paragraph(f"On: {str(self.faults) or 'none'}."),
            pages.table(("Fault", "Meaning"), list(faults.MEANINGS.items())),
            pages.form(FAULTS, "Set", {}, pages.text_field("faults", "Faults, with spaces")),
        )

    def _people(self, request: Request, now: datetime, _faults: Faults) -> Response:  # noqa: ARG002
        return as_json({"people": self.people()})

    def people(self) -> Sequence[Mapping[str, object]]:
        """The directory, with all that its people know; nobody of them exists."""
        return [
            {
                "id": person.id,
                "name": person.name,
                "passphrase": person.passphrase,
                "code_secret": person.code_secret,
                "roles": [role.claim() for role in person.roles],
            }
            for person in self.cards.directory.people()
        ]

    def _set_faults(self, request: Request, now: datetime, _faults: Faults) -> Response:  # noqa: ARG002
        if not self._is_own(request):
            return pages.refusal(HTTPStatus.FORBIDDEN, "another page has sent this")
        try:
            self.faults = faults.parse(request.parameters.get("faults", "").split())
        except NoFault as error:
            return pages.refusal(HTTPStatus.BAD_REQUEST, str(error))
        return redirect(START)

    def _end(self, request: Request, now: datetime, _faults: Faults) -> Response:
        if not self._is_own(request):
            return pages.refusal(HTTPStatus.FORBIDDEN, "another page has sent this")
        notices = [
            notice for each in self.sessions.all(now) for notice in self.leaving.end(each, now)
        ]
        return redirect(START).with_notices(notices)

    def _is_own(self, request: Request) -> bool:
        """Whether no page of others has sent a form: browsers say which one did."""
        return request.fields.get("origin", self.at.origin) == self.at.origin

    def _discovery(self, request: Request, now: datetime, _faults: Faults) -> Response:  # noqa: ARG002
        return as_json(places.discovery(self.at))
