"""Asks an OpenID provider, in a process without keys: what it says of itself (OpenID Connect
Discovery 1.0), its keys, and the ID token for a code (RFC 6749, 4.1.3). Whose that is, custody
finds out.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote_plus, urlencode

import h11
import structlog

from cloud_keystore.est import exchange
from cloud_keystore.est.exchange import NoAnswer, Reply, TooLarge
from cloud_keystore.est.running import bring, keep_running
from cloud_keystore.model.errors import InvalidInput, KeystoreError
from cloud_keystore.model.rights.oidc import (
    LARGEST_KEYS,
    LARGEST_TOKEN,
    OidcAnswer,
    OidcErrand,
    OidcTerms,
    ProviderFacts,
    place,
)

log = structlog.get_logger()

STEP_SECONDS = 8.0  # for a request, from the connection on
EXCHANGE_SECONDS = 25.0  # for all that a code takes, which is less than custody's LEASE_TIME
LARGEST = 128 * 1024  # bytes of an answer
OLD_SECONDS = 3600.0  # after which a provider is asked again what it says of itself
PAUSE_SECONDS = 10.0  # between such questions, whatever they are for
WELL_KNOWN = "/.well-known/openid-configuration"
BASIC, POST = "client_secret_basic", "client_secret_post"
JSON = ("Accept", "application/json")
SLOW = "the OpenID provider does not answer in time: try again"
STOPPED = OidcAnswer(why="the keystore is stopping: begin again")


class LogIns(Protocol):
    """Where codes come from: see people.rights.oidc_log_ins."""

    def learn(self, facts: ProviderFacts) -> None:
        """Take what the provider says of itself."""

    def take(self) -> Sequence[OidcErrand]:
        """Codes to exchange, for this process alone."""

    def tell(self, own_id: str, tries: int, answer: OidcAnswer) -> None:
        """Take what came of one."""


class Wrong(Exception):
    """The provider is of no use now; the text says why, without what it has written."""


@dataclass(frozen=True, slots=True)
class _Learnt:
    """What a provider has said, and when."""

    facts: ProviderFacts
    token_endpoint: str
    at: float
    takes_basic: bool  # whether the secret goes in a field of the request, or else in its form

    @property
    def kids(self) -> frozenset[str]:
        """The names of its keys."""
        return frozenset(str(each.get("kid", "")) for each in json.loads(self.facts.keys)["keys"])


@dataclass(slots=True)
class Openid:
    """Asks one provider; nothing is followed, and no proxy asked."""

    log_ins: LogIns
    terms: OidcTerms
    secret: str = field(repr=False)
    tls: ssl.SSLContext
    kid_of: Callable[[str], str]  # which key a token names
    step_seconds: float = STEP_SECONDS
    exchange_seconds: float = EXCHANGE_SECONDS
    monotonic: Callable[[], float] = time.monotonic
    _learnt: _Learnt | None = None
    _asked: float | None = None  # when it was last asked what it says of itself
    _learning: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def keep_asking(self, stop: asyncio.Event) -> None:
        """Exchange codes until told to stop."""
        await keep_running(lambda: self.ask(stop), stop)

    async def ask(self, stop: asyncio.Event) -> int:
        """Exchange a portion of codes; return how many there were."""
        if self._learnt is None or self.monotonic() - self._learnt.at > OLD_SECONDS:
            await self._learn()
        errands = await asyncio.to_thread(self.log_ins.take)
        await asyncio.gather(*(self._run(each, stop) for each in errands))
        return len(errands)

    async def _run(self, errand: OidcErrand, stop: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self.exchange_seconds):
                answer = STOPPED if stop.is_set() else await self._exchange(errand)
        except TimeoutError:
            answer = OidcAnswer(why=SLOW)
        except Wrong as wrong:
            answer = OidcAnswer(why=str(wrong))
        log.info("an OpenID provider was asked", why=answer.why)
        await bring(partial(self.log_ins.tell, errand.id, errand.tries, answer))

    async def _exchange(self, errand: OidcErrand) -> OidcAnswer:
        """The ID token for a code. Raises Wrong."""
        if self._learnt is None:
            await self._learn()
        learnt = self._learnt
        if learnt is None:
            raise Wrong("the OpenID provider does not say where it is asked: try again")
        form = {
            "grant_type": "authorization_code",
            "code": errand.code,
            "redirect_uri": errand.redirect_uri,
            "code_verifier": errand.verifier,
        }
        fields = [JSON, ("Content-Type", "application/x-www-form-urlencoded")]
        if learnt.takes_basic:
            fields.append(("Authorization", f"Basic {self._basic()}"))
        else:
            form |= {"client_id": self.terms.client_id, "client_secret": self.secret}
        reply = await self._reply(learnt.token_endpoint, fields, urlencode(form).encode())
        if reply.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED):
            raise Wrong(
                "the OpenID provider does not take the code, or does not know the keystore: begin "
                f"again, and have client and secret looked at ({reply.status})"
            )
        told = _read(reply)
        token, access = told.get("id_token"), told.get("access_token", "")
        if not isinstance(token, str) or not 0 < len(token) <= LARGEST_TOKEN:
            raise Wrong("the OpenID provider gives no ID token")
        # A key that is new: its set is read again, as often as `_learn` lets it.
        if (kid := self.kid_of(token)) and kid not in learnt.kids:
            await self._learn()
        access = access if isinstance(access, str) and len(access) <= LARGEST_TOKEN else ""
        return OidcAnswer(token, access)

    async def _learn(self) -> None:
        """Read what the provider says of itself and its keys, and bring it to custody; not more
        often than once in a while. What was known before stays if that fails. Whoever comes
        meanwhile waits for it.
        """
        async with self._learning:
            now = self.monotonic()
            if self._asked is not None and now - self._asked < PAUSE_SECONDS:
                return
            try:
                learnt = await self._read_facts(now)
                await asyncio.to_thread(self.log_ins.learn, learnt.facts)
            except (Wrong, KeystoreError) as error:
                log.warning("an OpenID provider is not known", why=str(error))
            else:
                self._learnt = learnt
            finally:
                self._asked = self.monotonic()

    async def _read_facts(self, now: float) -> _Learnt:
        issuer = self.terms.issuer
        told = _read(await self._reply(issuer.removesuffix("/") + WELL_KNOWN, [JSON], None))
        if told.get("issuer") != issuer:
            raise Wrong("the OpenID provider calls itself otherwise than --web-oidc-issuer")
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        begin, token, keys = (_address(told, name) for name in names)
        found = _read(await self._reply(keys, [JSON], None)).get("keys")
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise Wrong("the OpenID provider has no keys")
        text = json.dumps({"keys": found})
        if len(text) > LARGEST_KEYS:
            raise Wrong("the OpenID provider has too many keys")
        named = told.get("authorization_response_iss_parameter_supported") is True
        methods = told.get("token_endpoint_auth_methods_supported", [BASIC])
        if not isinstance(methods, list) or not {BASIC, POST} & {str(each) for each in methods}:
            raise Wrong(f"the OpenID provider takes no secret of a client ({BASIC}, {POST})")
        return _Learnt(ProviderFacts(issuer, begin, text, named), token, now, BASIC in methods)

    def _basic(self) -> str:
        """Client and secret (RFC 6749, 2.3.1)."""
        both = f"{quote_plus(self.terms.client_id)}:{quote_plus(self.secret)}"
        return base64.b64encode(both.encode()).decode()

    async def _reply(
        self, url: str, fields: Sequence[tuple[str, str]], body: bytes | None
    ) -> Reply:
        """What the provider answers; everything that can go wrong is Wrong."""
        try:
            at = place(url, "an address of the OpenID provider")
            async with asyncio.timeout(self.step_seconds):
                tls = None if at.is_plain else self.tls
                where = at.host, at.port
                return await exchange.ask(where, tls, at.target, fields, body, LARGEST)
        except InvalidInput:
            raise Wrong("the OpenID provider names an address that is not called") from None
        except TimeoutError:
            raise Wrong(SLOW) from None
        except ssl.SSLError:
            raise Wrong(
                "no TLS with the OpenID provider: its certificate is not known (--web-oidc-roots)"
            ) from None
        except OSError:
            raise Wrong("the OpenID provider is not reached: try again") from None
        except (NoAnswer, h11.ProtocolError, TooLarge):
            raise Wrong("the OpenID provider does not answer as one does") from None


def _read(reply: Reply) -> Mapping[str, object]:
    """The object of an answer. Raises Wrong."""
    if reply.status != HTTPStatus.OK:
        raise Wrong(f"the OpenID provider answers {reply.status}, which is not followed")
    try:
        told = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise Wrong("the OpenID provider does not answer in JSON") from None
    if not isinstance(told, dict):
        raise Wrong("the OpenID provider does not answer as one does")
    return told


def _address(told: Mapping[str, object], name: str) -> str:
    found = told.get(name)
    try:
        place(str(found), "an address of the OpenID provider")
    except InvalidInput:
        raise Wrong(f"the OpenID provider names no {name} that is called") from None
    return str(found)
