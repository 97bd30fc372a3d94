"""Opens the port of the pages for people."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from starlette.types import ASGIApp

from cloud_keystore.config import Settings
from cloud_keystore.http.listening import Listener
from cloud_keystore.http.places import Places
from cloud_keystore.model.clock import Clock
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.operations.ringing import Ringing
from cloud_keystore.rpc.connections.addresses import network, packed
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.run.faces.own_tls import OwnTls
from cloud_keystore.run.faces.rest import opened
from cloud_keystore.run.offering import hosts
from cloud_keystore.run.offering.web import WebUseCases
from cloud_keystore.web.application import application
from cloud_keystore.web.assents import AssentCalls
from cloud_keystore.web.assets import Assets
from cloud_keystore.web.authenticator import AuthenticatorCalls
from cloud_keystore.web.gate import Gate
from cloud_keystore.web.me.beginning import BeginningPages
from cloud_keystore.web.me.changes import CardChangePages
from cloud_keystore.web.me.contact import ContactPages
from cloud_keystore.web.me.entering import EnteringPages
from cloud_keystore.web.me.factor import FactorPages
from cloud_keystore.web.me.forgetting import ForgettingPages
from cloud_keystore.web.me.own import OwnPages
from cloud_keystore.web.me.passkeys import OwnPasskeyPages
from cloud_keystore.web.me.password import PasswordPages
from cloud_keystore.web.me.questions import QuestionPages
from cloud_keystore.web.me.views import OwnViews
from cloud_keystore.web.me.visiting import AREA as OWN_AREA
from cloud_keystore.web.origins import Origins
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.pins import PinCalls
from cloud_keystore.web.proofs import Nonces
from cloud_keystore.web.proving import Proving
from cloud_keystore.web.ra.administration.domains import DomainPages
from cloud_keystore.web.ra.administration.grants import GrantPages
from cloud_keystore.web.ra.administration.organisations import OrganisationPages
from cloud_keystore.web.ra.administration.policies import PolicyPages
from cloud_keystore.web.ra.administration.profiles import ProfilePages
from cloud_keystore.web.ra.administration.requests import RequestPages
from cloud_keystore.web.ra.administration.roles import RolePages
from cloud_keystore.web.ra.cards import CardPages
from cloud_keystore.web.ra.changes import ChangePages
from cloud_keystore.web.ra.entering import Entering
from cloud_keystore.web.ra.importing import ImportPages
from cloud_keystore.web.ra.overviews.alerts import AlertPages
from cloud_keystore.web.ra.overviews.counting import CountPages
from cloud_keystore.web.ra.overviews.ending import EndingPages
from cloud_keystore.web.ra.overviews.evidence import EvidencePages
from cloud_keystore.web.ra.overviews.feedback import FeedbackPages
from cloud_keystore.web.ra.overviews.journal import JournalPages
from cloud_keystore.web.ra.overviews.shared_devices import SharedDevicePages
from cloud_keystore.web.ra.overviews.unfinished import UnfinishedPages
from cloud_keystore.web.ra.overviews.workstations import WorkstationPages
from cloud_keystore.web.ra.own.cards import CardLogInPages, CardPlaces
from cloud_keystore.web.ra.own.oidc import OidcLogInPages
from cloud_keystore.web.ra.own.passkeys import PasskeyPages
from cloud_keystore.web.ra.people import PeoplePages
from cloud_keystore.web.ra.person import PersonPages
from cloud_keystore.web.ra.reports import ReportPages
from cloud_keystore.web.ra.several import ACTS, SeveralPages
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.ra.visiting import AREA, CARD_CODE
from cloud_keystore.web.rows import Part, Row
from cloud_keystore.web.seats import SEAT_REQUESTS, SeatCalls
from cloud_keystore.web.standing import StandingCalls
from cloud_keystore.web.streams import REQUESTS, Streams
from cloud_keystore.web.visiting import Doorkeeper

SECRET_BYTES = 32
NO_CARDS = CardPlaces("", "")


@dataclass(frozen=True, slots=True)
class Site:
    """The port that is open."""

    listener: Listener
    tls: OwnTls | None

    @classmethod
    async def start(
        cls,
        settings: Settings,
        use_cases: WebUseCases,
        tls: ssl.SSLContext | None,
        limiter: Limiter,
        metrics: Metrics,
        clock: Clock,
        wakeups: Wakeups,
    ) -> Site:
        """Open the port, with a certificate that was read before, the keystore's own, or without
        TLS on this computer; raises CannotListen.
        """
        web = settings.web
        assert web is not None  # noqa: S101 (who has no port opens none)
        own = None if tls is not None or web.is_plain else OwnTls.of(use_cases.announcing, clock)
        origins = Origins.of(settings.web_origins)
        cards = CardPlaces(hosts.cards_origin(settings), hosts.log_in_origin(settings))
        own_ways = cards, hosts.oidc_origin(settings)
        site = site_of(use_cases, origins, limiter, metrics, clock, wakeups, *own_ways)
        limits = settings.limits
        places = Places(_place, limits.connections, limits.connections_of_address)
        listener = Listener(web.listen, site, tls if own is None else own.context, places)
        await opened(listener)
        return cls(listener, own)

    async def keep_certified(self) -> None:
        """Renew the certificate in time, until cancelled."""
        if self.tls is not None:
            await self.tls.keep_certified()

    async def close(self) -> None:
        """Close the port."""
        await self.listener.close()


def site_of(
    use_cases: WebUseCases,
    origins: Origins,
    limiter: Limiter,
    metrics: Metrics,
    clock: Clock,
    wakeups: Wakeups,
    cards: CardPlaces = NO_CARDS,
    oidc: str = "",
) -> ASGIApp:
    """The pages behind their gate; `oidc` is where an OpenID provider sends browsers back."""
    ringing = Ringing(use_cases.deciding, use_cases.admitting, clock)
    calls = AuthenticatorCalls(
        enrolment=use_cases.enrolment,
        addresses=use_cases.addresses,
        short_codes=use_cases.short_codes,
        bells=use_cases.bells,
        announcing=use_cases.announcing,
        ringing=ringing,
        cards=use_cases.cards,
        passcodes=use_cases.passcodes,
        unlock_codes=use_cases.unlock_codes,
        unlocking=use_cases.unlocking,
        sessions=use_cases.sessions,
        clock=clock,
    )
    pins = PinCalls(use_cases.app_pins)
    standing = StandingCalls(use_cases.callers, use_cases.renewing, use_cases.surveys, clock)
    places = (wakeups, limiter.stream, limiter.looks, limiter.routine)
    unlocking = use_cases.unlocking
    streams = Streams(ringing, use_cases.alerts, use_cases.assents, *places, unlocking)
    asked = AssentCalls(use_cases.assents)
    seated = Ringing(use_cases.seated, use_cases.admitting, clock)
    seats = SeatCalls(use_cases.seats, use_cases.seating, seated, use_cases.renewing, clock)
    seat_streams = Streams(seated, None, None, *places)
    pages = Pages(by_card=bool(cards.cards), by_oidc=bool(oidc))
    nonces = Nonces(os.urandom(SECRET_BYTES), time.monotonic)
    views = Views(pages, use_cases.visits)
    own = OwnViews(pages, use_cases.holdings, clock)
    parts = (
        Part(views.serve, _visited(use_cases, views, clock, cards, oidc)),
        Part(own.serve, _own(use_cases, own)),
    )
    told = (*calls.rows(), *standing.rows(), *asked.rows(), *pins.rows(), *seats.rows())
    heard = {REQUESTS: streams, SEAT_REQUESTS: seat_streams}
    inner = application(told, heard, pages, Assets.read(), parts)
    proven = Proving(inner, use_cases.callers, nonces, limiter.admit)
    holders = Doorkeeper(proven, OWN_AREA, use_cases.portal_visits.find, limiter.admit)
    return Gate(
        Doorkeeper(holders, AREA, use_cases.visits.find, limiter.admit),
        origins=origins,
        pages=pages,
        admit=limiter.admit,
        held=limiter.call,
        place_of=lambda host: network(packed(host)),
        metrics=metrics,
        foreign={CARD_CODE: cards.cards} if cards.cards else {},
    )


def _visited(
    use_cases: WebUseCases, views: Views, clock: Clock, cards: CardPlaces, oidc: str
) -> Sequence[Row]:
    """The pages of operators."""
    return (
        *Entering(views.pages, use_cases.visits).rows(),
        *PasskeyPages(views, use_cases.log_in_passkeys).rows(),
        *CardLogInPages(views, use_cases.card_log_ins, cards, os.urandom).rows(),
        *OidcLogInPages(views, use_cases.oidc_log_ins, oidc, os.urandom).rows(),
        *PeoplePages(views, use_cases.people, use_cases.reports, ACTS).rows(),
        *SeveralPages(
            views, use_cases.showing, use_cases.people, use_cases.cards, use_cases.leaving
        ).rows(),
        *PersonPages(views, use_cases.showing, clock).rows(),
        *CardPages(
            views,
            use_cases.cards,
            use_cases.issuing,
            use_cases.custom_profiles,
            use_cases.unlock_codes,
            use_cases.prolonging,
            use_cases.replacing,
        ).rows(),
        *ReportPages(views, use_cases.notifications, use_cases.people).rows(),
        *JournalPages(views, use_cases.reading, clock).rows(),
        *EvidencePages(views, use_cases.reading, use_cases.packing, clock).rows(),
        *ImportPages(views, use_cases.importing).rows(),
        *_administration(use_cases, views, clock),
        *_overviews(use_cases, views, clock),
        *ChangePages(
            views,
            use_cases.people,
            use_cases.leaving,
            use_cases.accounts,
            use_cases.devices,
            use_cases.app_pins,
        ).rows(),
    )


def _administration(use_cases: WebUseCases, views: Views, clock: Clock) -> Sequence[Row]:
    """The pages of who may do what where, and by which rules."""
    organisations, roles = use_cases.organisations, use_cases.roles
    return (
        *OrganisationPages(views, organisations).rows(),
        *DomainPages(views, use_cases.domains).rows(),
        *RolePages(views, roles, use_cases.custom_roles, organisations).rows(),
        *GrantPages(views, roles, use_cases.identities, organisations, clock).rows(),
        *PolicyPages(views, organisations, use_cases.explaining).rows(),
        *ProfilePages(views, use_cases.custom_profiles).rows(),
        *RequestPages(views, use_cases.requests).rows(),
    )


def _overviews(use_cases: WebUseCases, views: Views, clock: Clock) -> Sequence[Row]:
    """The pages of what there is, and what needs somebody."""
    alerts, organisations = use_cases.alerts, use_cases.organisations
    return (
        *AlertPages(views, alerts).rows(),
        *CountPages(views, use_cases.cards, organisations).rows(),
        *UnfinishedPages(views, use_cases.reports).rows(),
        *EndingPages(views, use_cases.reports, clock).rows(),
        *WorkstationPages(
            views, use_cases.identities, use_cases.problems, alerts, organisations, clock
        ).rows(),
        *SharedDevicePages(views, use_cases.shared_devices, organisations, clock).rows(),
        *FeedbackPages(views, use_cases.feedback).rows(),
    )


def _own(use_cases: WebUseCases, views: OwnViews) -> Sequence[Row]:
    """The pages of holders."""
    return (
        *EnteringPages(views.pages, use_cases.portal_visits).rows(),
        *FactorPages(views, use_cases.log_in_factors).rows(),
        *OwnPasskeyPages(views, use_cases.portal_passkeys).rows(),
        *BeginningPages(views.pages, use_cases.beginnings).rows(),
        *ForgettingPages(views.pages, use_cases.portal_visits, use_cases.own_passwords).rows(),
        *OwnPages(
            views,
            use_cases.holdings,
            use_cases.devices,
            use_cases.portal_visits,
            use_cases.log_in_factors,
        ).rows(),
        *ContactPages(
            views, use_cases.addresses, use_cases.phones, use_cases.log_in_factors
        ).rows(),
        *PasswordPages(views, use_cases.own_passwords).rows(),
        *CardChangePages(views, use_cases.passcode_resets, use_cases.own_renewals).rows(),
        *QuestionPages(views, use_cases.own_passwords).rows(),
    )


def _place(host: str) -> Hashable:
    """What counts as one place for connections: those of a proxy on this computer are as many
    people's, and each has a place of its own.
    """
    return object() if ip_address(host).is_loopback else network(packed(host))
