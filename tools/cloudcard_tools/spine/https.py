"""One call of a broker: no proxy, no redirection, and an end whatever the other side does."""

from __future__ import annotations

import asyncio
import re
import ssl
from http import HTTPStatus
from urllib.parse import urlsplit

import h11

from cloud_keystore.est import exchange
from cloud_keystore.est.exchange import NoAnswer, TooLarge
from cloudcard_tools.shared.failures import OutOfReach, Refused

MOST_BYTES = 1 << 20
MOST_SHOWN = 4096  # bytes of a refusal
PORT = 443
UNREACHABLE, REFUSED = "BROKER_UNREACHABLE", "BROKER_REFUSED"


def call(url: str, path: str, body: bytes | None, tls: ssl.SSLContext, seconds: float) -> bytes:
    """What a broker answers. Raises OutOfReach if that takes longer than `seconds` in all, however
    slowly it comes, and Refused.
    """
    parts = urlsplit(url)
    place = parts.hostname or "", parts.port or PORT
    target = parts.path.rstrip("/") + path
    reply = asyncio.run(_reply(place, target, body, tls, seconds))
    if reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
        raise _unreachable("it is down")
    if HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST:
        raise Refused(
            f"the broker answers {reply.status}, which is not followed: name its own address",
            REFUSED,
        )
    if reply.status != HTTPStatus.OK:
        said = f"the broker refuses: {reply.status} {_shown(reply.body)}"
        raise Refused(said.rstrip(), REFUSED)
    return reply.body


async def _reply(
    place: tuple[str, int], target: str, body: bytes | None, tls: ssl.SSLContext, seconds: float
) -> exchange.Reply:
    kind = [("Content-Type", "text/xml")]
    try:
        async with asyncio.timeout(seconds):
            return await exchange.ask(place, tls, target, kind, body, MOST_BYTES)
    except TimeoutError:
        raise _unreachable(f"it has taken more than {seconds:.0f} seconds") from None
    except TooLarge:
        raise Refused(
            f"the broker answers with more than {MOST_BYTES} bytes: name its own address", REFUSED
        ) from None
    except NoAnswer:
        raise _unreachable("it ends the connection") from None
    except (OSError, h11.ProtocolError) as error:
        raise _unreachable(str(error) or type(error).__name__) from None


def _shown(content: bytes) -> str:
    text = re.sub(r"<[^>]+>", " ", content[:MOST_SHOWN].decode("utf-8", "replace"))
    said = " ".join(text.partition("This is a simulator")[0].split())
    return "".join(each for each in said if each.isprintable())


def _unreachable(why: str) -> OutOfReach:
    return OutOfReach(f"the broker does not answer: {why}", UNREACHABLE)
