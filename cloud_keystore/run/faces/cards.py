"""Opens the port at which browsers show the cards of operators."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from starlette.types import ASGIApp

from cloud_keystore.config import Settings
from cloud_keystore.http.listening import Connection, Listener
from cloud_keystore.http.places import Places
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.rpc.connections.addresses import network, packed
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.run.faces.own_tls import LOOK_SECONDS, OwnTls
from cloud_keystore.run.faces.rest import opened
from cloud_keystore.run.offering import hosts
from cloud_keystore.run.offering.card_log_ins import CardUseCases
from cloud_keystore.web.gate import Gate
from cloud_keystore.web.origins import Origins
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.ra.own.shown import CERTIFICATE, ShownCards, fields

log = structlog.get_logger()

# A holder approves the use of the key meanwhile, with the phone.
HANDSHAKE_SECONDS = 150


class CardConnection(Connection):
    """A connection whose requests have the certificate that its own handshake has proved."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        told, behind = _proved(transport.get_extra_info("ssl_object")), self.app
        self.app = lambda scope, *ways: behind({**scope, CERTIFICATE: told}, *ways)


@dataclass(frozen=True, slots=True)
class CardPort:
    """The port that is open."""

    listener: Listener
    context: ssl.SSLContext
    tls: OwnTls | None
    trusted: Callable[[], tuple[bytes, ...]]

    @classmethod
    async def start(
        cls,
        settings: Settings,
        use_cases: CardUseCases,
        tls: ssl.SSLContext | None,
        limiter: Limiter,
        metrics: Metrics,
        clock: Clock,
    ) -> CardPort:
        """Open the port, with a certificate that was read before, or with the keystore's own;
        raises CannotListen.
        """
        web = settings.web
        assert web is not None  # noqa: S101 (who has no pages has no such port)
        assert web.cards is not None  # noqa: S101
        own = OwnTls.of(use_cases.announcing, clock) if tls is None else None
        context = tls if own is None else own.context
        assert context is not None  # noqa: S101 (one of them is there)
        site = site_of(
            use_cases,
            hosts.cards_origin(settings),
            hosts.log_in_origin(settings),
            limiter,
            metrics,
        )
        limits = settings.limits
        places = Places(
            lambda host: network(packed(host)), limits.connections, limits.connections_of_address
        )
        listener = Listener(
            web.cards, site, asking(context), places, CardConnection, HANDSHAKE_SECONDS
        )
        made = cls(listener, context, own, use_cases.card_log_ins.trusted)
        made.look()
        await opened(listener)
        return made

    def look(self) -> None:
        """Trust all authorities that there are now."""
        self.context.load_verify_locations(cadata=b"".join(self.trusted()))

    async def keep_certified(self) -> None:
        """Renew the certificate in time, and trust what follows, until cancelled."""
        keeping = [self._keep_trusting()]
        if self.tls is not None:
            keeping.append(self.tls.keep_certified())
        await asyncio.gather(*keeping)

    async def close(self) -> None:
        """Close the port."""
        await self.listener.close()

    async def _keep_trusting(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.look)
            # Custody starts again; the next look asks it.
            except KeystoreError as error:
                log.warning("the authorities were not looked up", error=type(error).__name__)


def asking(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let TLS ask for a card at each connection: whoever takes it out is asked again. Whoever shows
    none is told so by a page.
    """
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    return context


def site_of(
    use_cases: CardUseCases, origin: str, back: str, limiter: Limiter, metrics: Metrics
) -> ASGIApp:
    """The pages behind their gate, of one origin; `back` is that of the pages where operators log
    in.
    """
    pages = Pages()
    return Gate(
        ShownCards(pages, use_cases.card_log_ins.make_code, back, limiter.admit),
        origins=Origins.of({origin}),
        pages=pages,
        admit=limiter.admit,
        held=limiter.call,
        place_of=lambda host: network(packed(host)),
        metrics=metrics,
        fields=fields(back),
    )


def _proved(tls: ssl.SSLObject | None) -> bytes:
    """The certificate, DER, whose key has signed this handshake; empty without one. A session that
    is resumed proves nothing of now.
    """
    if tls is None or tls.session_reused:
        return b""
    return tls.getpeercert(binary_form=True) or b""
