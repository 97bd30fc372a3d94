"""Sends requests, repeats those that can be repeated, and raises what is refused."""

from __future__ import annotations

import json
import random
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from types import MappingProxyType
from typing import TypeAlias, cast
from urllib.parse import urlsplit

LONGEST_PAUSE = 60.0  # seconds between two attempts
SECONDS = 30.0  # for one attempt

Fields: TypeAlias = Mapping[str, str]  # header fields, whose names are in small letters
Exchange: TypeAlias = Callable[[str, str, Fields, bytes], tuple[int, Fields, bytes]]


class ApiError(Exception):
    """A request was refused. `kind` is for programs, the text for people."""

    def __init__(self, status: int, kind: str, detail: str, request_id: str) -> None:
        super().__init__(detail)
        self.status, self.kind, self.request_id = status, kind, request_id


class TokenRejected(ApiError):
    """The token is unknown, has ended, or was removed."""


class NotAllowed(ApiError):
    """No role of the client has the right."""


class NotFound(ApiError):
    """There is no such thing, or the client does not see it."""


class Conflict(ApiError):
    """The present state does not allow it."""


class ChangedMeanwhile(ApiError):
    """Somebody else has changed it: ask for it again."""


class Invalid(ApiError):
    """A value cannot be used; the text says which."""


class TooManyCalls(ApiError):
    """The client calls faster than it may, for longer than was waited."""


class NotReached(Exception):
    """The keystore does not answer. It is not known whether a change was made."""


ERRORS: Mapping[int, type[ApiError]] = MappingProxyType(
    {
        401: TokenRejected,
        403: NotAllowed,
        404: NotFound,
        409: Conflict,
        412: ChangedMeanwhile,
        422: Invalid,
        429: TooManyCalls,
    }
)


@dataclass(frozen=True, slots=True)
class Told:
    """What was answered."""

    json: Mapping[str, object]
    fields: Fields


@dataclass(slots=True)
class Https:
    """Exchanges requests and responses with a keystore whose certificate is checked."""

    address: str  # https://host:port
    tls: ssl.SSLContext
    seconds: float = SECONDS

    def __call__(
        self, method: str, path: str, sent: Fields, body: bytes
    ) -> tuple[int, Fields, bytes]:
        """One exchange; raises OSError and HTTPException if there is no answer."""
        at = urlsplit(self.address)
        if at.scheme != "https" or not at.hostname:
            raise ValueError(f"{self.address} is no address such as https://keystore.example.org")
        asking = HTTPSConnection(at.hostname, at.port, context=self.tls, timeout=self.seconds)
        try:
            asking.request(method, path, body or None, dict(sent))
            told = asking.getresponse()
            found = {name.lower(): value for name, value in told.getheaders()}
            return told.status, found, told.read()
        finally:
            asking.close()


@dataclass(slots=True)
class Calling:
    """Makes calls, each with as many attempts as it may have."""

    exchange: Exchange
    token: str = field(repr=False)
    attempts: int = 5
    sleep: Callable[[float], None] = time.sleep

    def get(self, path: str) -> Told:
        """Ask for something."""
        return self._call("GET", path, None, {}, lost_is_safe=True)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Told:
        """Make or do something; it is done once, however often it is sent."""
        own = {"idempotency-key": str(uuid.uuid4())}
        return self._call("POST", path, body, own, lost_is_safe=True)

    def patch(self, path: str, body: Mapping[str, object], version: str) -> Told:
        """Change something that was seen in a version."""
        return self._call("PATCH", path, body, {"if-match": version}, lost_is_safe=False)

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        own: Fields,
        *,
        lost_is_safe: bool,
    ) -> Told:
        raw = b"" if body is None else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {self.token}", "accept": "application/json", **own}
        if body is not None:
            sent["content-type"] = "application/json"
        for attempt in range(1, self.attempts + 1):
            last = attempt == self.attempts
            # At random, so that those who were refused together do not come back together.
            pause = min(LONGEST_PAUSE, 2.0**attempt / 4) * random.uniform(0.5, 1)  # noqa: S311
            try:
                status, fields, told = self.exchange(method, path, sent, raw)
            except (OSError, HTTPException) as error:
                if last or not lost_is_safe:
                    raise NotReached(f"the keystore does not answer: {error}") from error
            else:
                if status < 400:
                    return Told(cast("Mapping[str, object]", json.loads(told)), fields)
                refused = _refused(status, fields, told)
                if last or not (status in (429, 503) or refused.kind == "request-under-way"):
                    raise refused
                pause = max(pause, min(LONGEST_PAUSE, float(fields.get("retry-after", "0"))))
            self.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


def _refused(status: int, fields: Fields, told: bytes) -> ApiError:
    """The error that a response tells of, even if it is not the API's."""
    try:
        said = json.loads(told)
        kind, detail = str(said["type"]).rpartition(":")[2], str(said["detail"])
    except (ValueError, KeyError, TypeError):
        kind, detail = "unknown", f"the answer has status {status}, and no reason"
    return ERRORS.get(status, ApiError)(status, kind, detail, fields.get("x-request-id", ""))
