"""What a client asks of the authorisation endpoint (OpenID Connect Core 1.0, 3.1.2). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cloudcard_tools.simulate.cis2.clients import Client
from cloudcard_tools.simulate.cis2.levels import USUAL

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)  # of SHA-256 (RFC 7636, 4.2)
LONGEST = 2048
PROMPTS = frozenset(("none", "login", "consent", "select_account"))
LONGEST_AGE = 10**6


class CannotReturn(Exception):
    """It is not known to whom an answer could go: the person is told, and nobody else."""


class AskedWrongly(Exception):
    """The client asks for what it does not get; `error` is the word for it."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks for."""

    client: Client
    redirect_uri: str
    scopes: frozenset[str]
    state: str = ""
    nonce: str = ""
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    acr: tuple[str, ...] = (USUAL,)
    challenge: str = ""
    """Of the proof key for code exchange (RFC 7636); empty if the client uses none."""

    @property
    def wants_role(self) -> bool:
        """Whether a role is to be chosen."""
        return bool(self.scopes & {"selectedrole", "changedrole"})


def client_of(parameters: Mapping[str, str], clients: Mapping[str, Client]) -> tuple[Client, str]:
    """Who asks, and where the answer goes. Raises CannotReturn."""
    client = clients.get(parameters.get("client_id", ""))
    if client is None:
        raise CannotReturn("no client with this client_id is registered")
    redirect_uri = parameters.get("redirect_uri", "")
    if redirect_uri not in client.redirect_uris:
        raise CannotReturn("this redirect_uri is not registered for the client, letter by letter")
    return client, redirect_uri


def read(parameters: Mapping[str, str], client: Client, redirect_uri: str) -> Asked:
    """What the client asks for. Raises AskedWrongly."""
    if any(len(each) > LONGEST for each in parameters.values()):
        raise AskedWrongly("invalid_request", f"a parameter has more than {LONGEST} characters")
    for name, error in (
        ("request", "request_not_supported"),
        ("request_uri", "request_uri_not_supported"),
        ("registration", "registration_not_supported"),
    ):
        if name in parameters:
            raise AskedWrongly(error, f"{name} is not supported")
    kind = parameters.get("response_type", "")
    if not kind:
        raise AskedWrongly("invalid_request", "response_type is missing")
    if kind != "code":
        raise AskedWrongly("unsupported_response_type", "the response_type is code")
    if parameters.get("response_mode", "query") != "query":
        raise AskedWrongly("invalid_request", "the response_mode is query")
    scopes = frozenset(parameters.get("scope", "").split())
    if "openid" not in scopes:
        raise AskedWrongly("invalid_scope", "the scope has openid")
    return Asked(
        client,
        redirect_uri,
        scopes,
        parameters.get("state", ""),
        parameters.get("nonce", ""),
        _prompt(parameters),
        _max_age(parameters),
        tuple(parameters.get("acr_values", "").split()) or (USUAL,),
        _challenge(parameters),
    )


def _prompt(parameters: Mapping[str, str]) -> frozenset[str]:
    prompt = frozenset(parameters.get("prompt", "").split())
    if not prompt <= PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise AskedWrongly("invalid_request", "the prompt is none alone, login, or another known")
    return prompt


def _max_age(parameters: Mapping[str, str]) -> int | None:
    told = parameters.get("max_age")
    if told is None:
        return None
    if not (told.isascii() and told.isdigit() and int(told) <= LONGEST_AGE):
        raise AskedWrongly("invalid_request", "max_age is a number of seconds")
    return int(told)


def _challenge(parameters: Mapping[str, str]) -> str:
    challenge = parameters.get("code_challenge", "")
    method = parameters.get("code_challenge_method", "plain" if challenge else "")
    if method not in ("", "S256"):
        raise AskedWrongly("invalid_request", "the code_challenge_method is S256")
    if (challenge or method) and CHALLENGE.fullmatch(challenge) is None:
        raise AskedWrongly("invalid_request", "code_challenge is no SHA-256 in base64url")
    return challenge
