"""Opens the port of the REST API, with the service's own certificate."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud_keystore.config import Address
from cloud_keystore.http.listening import Listener
from cloud_keystore.http.places import Places
from cloud_keystore.http.problems import Problem
from cloud_keystore.model.clock import Clock
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.rest.application import DESCRIBED_AT, application
from cloud_keystore.rest.cards import CardCalls
from cloud_keystore.rest.codes import CodeCalls
from cloud_keystore.rest.gate import Gate
from cloud_keystore.rest.own import OwnCalls
from cloud_keystore.rest.people import PeopleCalls
from cloud_keystore.rest.policies import PolicyCalls
from cloud_keystore.rest.profiles import ProfileCalls
from cloud_keystore.rest.repeating import Repeating
from cloud_keystore.rest.scim import application as scim
from cloud_keystore.rest.scim.application import ScimCalls
from cloud_keystore.rest.scim.errors import of_problem
from cloud_keystore.rest.scim.groups import GroupCalls
from cloud_keystore.rest.scim.models import AT
from cloud_keystore.rest.scim.searching import Searching
from cloud_keystore.rest.shared_devices import SharedDeviceCalls
from cloud_keystore.rest.webhooks import WebhookCalls
from cloud_keystore.rpc.connections.addresses import network, packed
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.run.faces.own_tls import OwnTls
from cloud_keystore.run.offering.rest import RestUseCases
from cloud_keystore.run.ports import CannotListen, cause, wait_until_free


@dataclass(frozen=True, slots=True)
class Api:
    """The port that is open."""

    listener: Listener
    tls: OwnTls

    @classmethod
    async def start(
        cls,
        address: Address,
        use_cases: RestUseCases,
        limiter: Limiter,
        metrics: Metrics,
        clock: Clock,
    ) -> Api:
        """Open the port; raises CannotListen."""
        tls = OwnTls.of(use_cases.announcing, clock)
        gate = gate_of(use_cases, limiter, metrics, clock)
        places = Places(lambda host: network(packed(host)))
        listener = Listener(address, gate, tls.context, places)
        await opened(listener)
        return cls(listener, tls)

    async def keep_certified(self) -> None:
        """Renew the certificate in time, until cancelled."""
        await self.tls.keep_certified()

    async def close(self) -> None:
        """Close the port."""
        await self.listener.close()


async def opened(listener: Listener) -> None:
    """Open a port; raises CannotListen."""
    wait_until_free(listener.address)
    try:
        await listener.start()
    except OSError:
        why = cause(listener.address)
        raise CannotListen(f"cannot listen on {listener.address}: {why}") from None


@dataclass(frozen=True, slots=True)
class Faces:
    """Both faces behind the gate, as one ASGI application."""

    api: ASGIApp
    scim: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        face = self.scim if scope["path"].startswith(AT) else self.api
        await face(scope, receive, send)


def gate_of(use_cases: RestUseCases, limiter: Limiter, metrics: Metrics, clock: Clock) -> Gate:
    """The API behind its gate."""
    people = PeopleCalls(
        people=use_cases.people,
        addresses=use_cases.addresses,
        showing=use_cases.showing,
        leaving=use_cases.leaving,
        reports=use_cases.reports,
        devices=use_cases.devices,
        identities=use_cases.identities,
        clock=clock,
    )
    cards = CardCalls(
        issuing=use_cases.issuing,
        cards=use_cases.cards,
        prolonging=use_cases.prolonging,
        replacing=use_cases.replacing,
        unlocking=use_cases.unlocking,
        organisations=use_cases.organisations,
    )
    own = OwnCalls(portal_passwords=use_cases.portal_passwords)
    directories = ScimCalls(
        use_cases.provisioning,
        use_cases.organisations,
        GroupCalls(use_cases.groups),
        Searching(use_cases.provisioning, use_cases.groups),
    )
    codes = CodeCalls(use_cases.validating)
    webhooks = WebhookCalls(use_cases.webhooks)
    policies = PolicyCalls(use_cases.organisations, use_cases.explaining)
    profiles = ProfileCalls(use_cases.custom_profiles)
    shared = SharedDeviceCalls(use_cases.shared_devices, clock)
    api = application(people, cards, own, codes, webhooks, policies, profiles, shared)
    return Gate(
        Faces(Repeating(api, use_cases.repeats), scim.application(directories)),
        use_cases.callers,
        admit=limiter.admit,
        held=limiter.call,
        place_of=lambda host: network(packed(host)),
        metrics=metrics,
        public={DESCRIBED_AT},
        tell=_told,
    )


def _told(path: str, problem: Problem) -> Response:
    """A problem as the face of a path tells it."""
    return of_problem(problem) if path.startswith(AT) else problem.response()
