"""Makes what calls authorities outside of the keystore, a broker, and an OpenID provider."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from cloud_keystore.config import Settings
from cloud_keystore.custody.sealing.seal import read_secret
from cloud_keystore.est.client import Client
from cloud_keystore.est.fetching import Fetching
from cloud_keystore.est.issuance import Asking
from cloud_keystore.est.lists import Lists
from cloud_keystore.est.openid import LogIns, Openid
from cloud_keystore.est.spine.checking import Checking, Errands
from cloud_keystore.est.spine.sources import Broker, Simulator, Source
from cloud_keystore.est.tls import load_pair
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.rights.oidc import LONGEST_SECRET, OidcTerms, is_plain
from cloud_keystore.model.spine.terms import SpineTerms, place
from cloud_keystore.model.spine.tickets import SpineIdentity, checked
from cloud_keystore.people.rights.id_tokens import kid_of
from cloud_keystore.run.offering import hosts
from cloud_keystore.run.offering.sending import OutsideUseCases


def keep_calling(
    cases: OutsideUseCases, settings: Settings
) -> Callable[[asyncio.Event], Awaitable[None]]:
    """What asks for certificates, tickets and ID tokens, and fetches revocation lists, until told
    to stop; raises as `source` does.
    """
    allowed = hosts.places(settings)
    asking = Fetching(cases.errands, Asking(Client(allowed)))
    fetching = Lists(cases.list_errands, allowed)
    keep = [asking.keep_fetching, fetching.keep_fetching]
    if settings.spine is not None:
        keep.append(Errands(cases.tickets, Checking(source(settings.spine))).keep_asking)
    if (terms := hosts.oidc(settings)) is not None:
        keep.append(openid(cases.oidc_log_ins, terms).keep_asking)

    async def call(stop: asyncio.Event) -> None:
        await asyncio.gather(*(each(stop) for each in keep))

    return call


def openid(log_ins: LogIns, terms: OidcTerms) -> Openid:
    """What asks an OpenID provider. It reads files now, and raises, as `source` does."""
    secret = read_secret(Path(terms.secret)).decode("utf-8", "replace").strip()
    if not is_plain(secret, LONGEST_SECRET):
        raise InvalidInput(f"{terms.secret} has no secret of a client: one line of ASCII")
    try:
        tls = ssl.create_default_context(cafile=terms.roots or None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            f"{terms.roots} has no certificates to know the OpenID provider by ({error})"
        ) from None
    return Openid(log_ins, terms, secret, tls, kid_of)


def source(terms: SpineTerms) -> Source:
    """Who says whose a ticket is. It reads files now, because the process may not do so later.

    Raises SealingKeyError if a secret's file is not its owner's alone, and InvalidInput.
    """
    if terms.simulated:
        return Simulator(_simulated(Path(terms.simulated)))
    try:
        tls = ssl.create_default_context(cafile=terms.roots or None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            f"{terms.roots} has no certificates to know the broker by ({error})"
        ) from None
    if terms.certificate:
        try:
            load_pair(tls, read_secret(Path(terms.private)), Path(terms.certificate).read_bytes())
        except (OSError, ssl.SSLError):
            raise InvalidInput(
                f"{terms.certificate} and {terms.private} are no certificate and its key, in PEM"
            ) from None
    at, path = place(terms.url)
    return Broker(at, path, tls)


def _simulated(file: Path) -> Mapping[str, SpineIdentity]:
    """Tickets and whose they are. Raises InvalidInput."""
    try:
        told = json.loads(file.read_bytes())
        return {
            checked(ticket): SpineIdentity(str(person["uid"]), str(person["name"]))
            for ticket, person in told.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidInput):
        raise InvalidInput(
            f'{file} is to be a JSON object such as {{"TICKET": {{"uid": "555073168108", "name": '
            '"LOVELACE Ada"}}'
        ) from None
