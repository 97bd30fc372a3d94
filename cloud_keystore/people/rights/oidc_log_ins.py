"""Operators log in by their organisation's OpenID provider (authorization code flow with PKCE). A
browser goes there and comes back with a code, which a process without keys exchanges; whose ID
token that is, is found out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from urllib.parse import urlencode

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from cloud_keystore.audit import acting
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.errors import TokenRejected, TooManyCalls
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.oidc import (
    ANSWER_TIME,
    BROWSER_BYTES,
    DRAWN_BYTES,
    FRESH_SECONDS,
    LEASE_TIME,
    LONGEST_CODE,
    STATE_TIME,
    OidcAnswer,
    OidcErrand,
    OidcState,
    OidcTerms,
    ProviderFacts,
    Returned,
    encoded,
    is_plain,
    place,
    sealed_context,
)
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.rights.id_tokens import Expected, Wrong, read_keys, subject
from cloud_keystore.people.rights.log_in_operators import one_of
from cloud_keystore.people.rights.visits import Visits, enter
from cloud_keystore.storage.directories import mappings
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import oidc

log = structlog.get_logger()

PORTION = 10  # under one lease
MOST_RETURNED = 500  # codes that are not over
NONE = "this keystore has no OpenID provider: log in in another way"
UNASKED = "the OpenID provider has not answered the keystore yet: try again, or another way"
LATE = "this has taken too long, was done before, or in another browser: begin again"
REFUSED = "the OpenID provider has not logged you in: begin again"
ELSEWHERE = "this answer is not of the OpenID provider that was asked: begin again"
SILENT = "the OpenID provider does not answer: try again, or log in in another way"
UNKNOWN = (
    "the OpenID provider knows you, and this keystore knows no operator by that: log in in another "
    "way, and have an RA manager say who you are (cloudcard ra directory operator --subject)"
)
SEVERAL = "you are several operators: log in in another way"


@dataclass(frozen=True, slots=True)
class OidcLogIns:
    """Begins visits of operators whom a provider has logged in. `terms` are None without one."""

    visits: Visits
    seal: Seal = field(repr=False)
    terms: OidcTerms | None
    redirect_uri: str

    def ask(self, browser: bytes) -> str:
        """Where at the provider a browser logs in, for this browser alone. Raises TokenRejected."""
        own, terms = self.visits, self._terms()
        if len(browser) != BROWSER_BYTES:
            raise TokenRejected(LATE)
        with own.database.read() as connection:
            facts = oidc.provider(connection, terms.issuer)
        if facts is None:
            raise TokenRejected(UNASKED)
        made = OidcState(own.clock(), own.random(DRAWN_BYTES), b"")
        state = OidcState(made.create_time, made.drawn, self._mac(made, browser))
        asked = urlencode(
            {
                "response_type": "code",
                "client_id": terms.client_id,
                "redirect_uri": self.redirect_uri,
                "scope": "openid",
                "state": str(state),
                "nonce": self._nonce(state.drawn),
                "code_challenge": encoded(sha256(self._verifier(state.drawn).encode()).digest()),
                "code_challenge_method": "S256",
                "max_age": FRESH_SECONDS,
            }
        )
        joint = "&" if "?" in facts.authorization_endpoint else "?"
        return f"{facts.authorization_endpoint}{joint}{asked}"

    def bring(self, state: str, code: str, issuer: str, browser: bytes) -> None:
        """Take the code with which a browser has come back, once. Raises TokenRejected,
        TooManyCalls.
        """
        own, terms, now = self.visits, self._terms(), self.visits.clock()
        found = self._own(state, browser, now)
        if not is_plain(code, LONGEST_CODE):
            raise TokenRejected(REFUSED)
        try:
            with own.database.write() as connection:
                facts = oidc.provider(connection, terms.issuer)
                # Mix-up: the code of another provider (RFC 9207, 2.4)
                named = issuer or facts is None or facts.names_itself
                if named and not compare_digest(issuer.encode(), terms.issuer.encode()):
                    raise TokenRejected(ELSEWHERE)
                if oidc.count(connection) >= MOST_RETURNED:
                    raise TooManyCalls("too many operators log in: try again", 10.0)
                spent = found.sha256.hex()
                content = self.seal.close(code.encode(), sealed_context(spent))
                made = Returned(spent, found.create_time, now, found.drawn, content)
                oidc.add(connection, made)
        # It has come back before.
        except IntegrityError:
            raise TokenRejected(LATE) from None

    def begin(self, state: str, browser: bytes) -> str:
        """Begin the visit of an operator whom the provider has logged in; returns its secret, which
        is new, and nothing as long as the provider has not answered. Raises TokenRejected,
        NotAllowed.
        """
        own, now = self.visits, self.visits.clock()
        found, terms = self._own(state, browser, now), self._terms()
        with own.database.read() as connection:
            returned = oidc.find(connection, found.sha256.hex())
            if returned is None:
                raise TokenRejected(LATE)
            if returned.subject is None:
                if returned.why is None and now < returned.return_time + ANSWER_TIME:
                    return ""
                raise TokenRejected(returned.why or SILENT)
            # A log-in of before proves nothing now.
            if returned.end_time is None or now >= returned.end_time + ANSWER_TIME:
                raise TokenRejected(LATE)
            operator = self._operator(connection, returned.subject, now)
        try:
            with acting.changing(own.database, operator.actor, now) as by:
                by.need_somewhere(Right.VIEW)
                # Again, in the transaction: it can have been taken back meanwhile.
                again = self._operator(by.connection, returned.subject, now)
                if again.id != operator.id:
                    raise TokenRejected(LATE)
                how = {"by": "oidc", "issuer": terms.issuer, "subject": returned.subject}
                return enter(by, own.random, operator, found.sha256, how)
        # There is a visit, which has begun with the same state.
        except IntegrityError:
            raise TokenRejected(LATE) from None

    def learn(self, facts: ProviderFacts) -> None:
        """Take what the provider says of itself. Raises TokenRejected for what cannot be used."""
        terms = self._terms()
        if not compare_digest(facts.issuer.encode(), terms.issuer.encode()):
            raise TokenRejected(ELSEWHERE)
        place(facts.authorization_endpoint, "where an OpenID provider logs people in")
        try:
            read_keys(facts.keys)
        except Wrong as error:
            raise TokenRejected(
                f"the keys of the OpenID provider cannot be used: {error}"
            ) from None
        with self.visits.database.write() as connection:
            oidc.learn(connection, facts)

    def take(self) -> Sequence[OidcErrand]:
        """Codes to exchange, for the caller alone; some of them, if there are many."""
        own, now = self.visits, self.visits.clock()
        with own.database.read() as connection:
            if not oidc.is_due(connection, now):
                return []
        with own.database.write() as connection:
            leased = oidc.lease(connection, now, LEASE_TIME, PORTION)
            # A code is exchanged once: whoever has had it may have done so.
            for each in leased:
                if each.tries > 1:
                    oidc.end(connection, each, now, None, SILENT)
            return [
                OidcErrand(
                    each.id,
                    each.tries,
                    self.redirect_uri,
                    self.seal.open(each.sealed, sealed_context(each.id)).decode("ascii"),
                    self._verifier(each.drawn),
                )
                for each in leased
                if each.tries == 1
            ]

    def tell(self, own_id: str, tries: int, answer: OidcAnswer) -> None:
        """Take what the provider has answered; nothing is done if it is over by now."""
        now, terms = self.visits.clock(), self._terms()
        with self.visits.database.write() as connection:
            returned = oidc.find(connection, own_id)
            if returned is None or returned.tries != tries or returned.end_time is not None:
                return
            facts = oidc.provider(connection, terms.issuer)
            found, why = None, answer.why or None
            if not answer.why and facts is not None:
                nonce = self._nonce(returned.drawn)
                wanted = Expected(terms.issuer, terms.client_id, nonce, returned.create_time)
                try:
                    found = subject(answer.token, answer.access_token, facts.keys, wanted, now)
                except Wrong as error:
                    log.warning("an ID token does not count", why=str(error))
                    why = f"the ID token of the OpenID provider does not count: {error}"
            oidc.end(connection, returned, now, found, None if found else why or SILENT)

    def _operator(self, connection: Connection, subject: str, now: datetime) -> Identity:
        """The one operator whom the provider knows as a subject; raises TokenRejected."""
        said = mappings.known_as(connection, self._terms().issuer, subject)
        return one_of(connection, said, now, UNKNOWN, SEVERAL)

    def _terms(self) -> OidcTerms:
        if self.terms is None:
            raise TokenRejected(NONE)
        return self.terms

    def _own(self, state: str, browser: bytes, now: datetime) -> OidcState:
        """The state of a browser. Raises TokenRejected."""
        found = OidcState.parse(state)
        if found is None or not compare_digest(found.mac, self._mac(found, browser)):
            raise TokenRejected(LATE)
        if not found.is_fresh(now):
            raise TokenRejected(LATE)
        return found

    def _mac(self, state: OidcState, browser: bytes) -> bytes:
        return self.seal.derive("\0".join(("OpenID log-in", browser.hex())), state.coded)

    def _nonce(self, drawn: bytes) -> str:
        return encoded(self.seal.derive("OpenID nonce", drawn))

    def _verifier(self, drawn: bytes) -> str:
        """Whom nobody knows who has not drawn it (RFC 7636, 4.1)."""
        return encoded(self.seal.derive("OpenID verifier", drawn))


def remove_old(database: Database, now: datetime) -> bool:
    """Remove some of the codes whose states are too old to begin a visit; returns whether there was
    any.
    """
    before = now - STATE_TIME
    with database.read() as connection:
        if not oidc.has_old(connection, before):
            return False
    with database.write() as connection:
        oidc.remove_old(connection, before)
    return True
