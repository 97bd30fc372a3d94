"""Pages as HTML, from the templates beside this module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from cloud_keystore.web.ra import words

FOLDER = Path(__file__).parent / "templates"


class Said(NamedTuple):
    """What a page of an error says."""

    title: str
    text: str


ERRORS: Mapping[int, Said] = MappingProxyType(
    {
        HTTPStatus.BAD_REQUEST: Said(
            "Your browser sent something that cannot be read", "Go back and try again."
        ),
        HTTPStatus.FORBIDDEN: Said(
            "This did not come from our page", "Open the page again, and do there what you meant."
        ),
        HTTPStatus.NOT_FOUND: Said(
            "Page not found", "If you typed the address, check that it is right."
        ),
        HTTPStatus.METHOD_NOT_ALLOWED: Said("This cannot be done here", "Go back and try again."),
        HTTPStatus.REQUEST_TIMEOUT: Said(
            "Your request took too long", "Check your connection, and try again."
        ),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Said("This is too large", "Send less."),
        HTTPStatus.MISDIRECTED_REQUEST: Said(
            "There is no page at this address",
            "Use the address that your registration authority gave you.",
        ),
        HTTPStatus.TOO_MANY_REQUESTS: Said(
            "Too many requests", "Wait a minute, then try again. Nothing of yours is locked."
        ),
        HTTPStatus.INTERNAL_SERVER_ERROR: Said(
            "Sorry, there is a problem with the service", "Try again later. Nothing was changed."
        ),
        HTTPStatus.SERVICE_UNAVAILABLE: Said(
            "Sorry, the service is not available now", "Try again in a few minutes."
        ),
    }
)


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"day": words.day, "when": words.when}
    made.globals |= {
        "colours": words.COLOURS,
        "states": words.USER_STATES,
        "card_state": words.card_state,
    }
    return made


@dataclass(frozen=True, slots=True)
class Pages:
    """Renders pages."""

    by_card: bool = False  # whether operators can log in by their cards
    by_oidc: bool = False  # and by an OpenID provider
    _environment: Environment = field(default_factory=_environment)

    def page(
        self,
        name: str,
        status: int = HTTPStatus.OK,
        fields: Mapping[str, str] = MappingProxyType({}),
        **said: object,
    ) -> HTMLResponse:
        """The page of a template."""
        text = self._environment.get_template(f"{name}.html").render(said)
        return HTMLResponse(text, status, dict(fields))

    def error(
        self,
        status: int,
        incident: str,
        fields: Mapping[str, str] = MappingProxyType({}),
        again: str = "",
    ) -> HTMLResponse:
        """The page of an error. `incident` is the number under which the log tells more, and
        `again` the page that can be tried again; empty if that is of no use.
        """
        said = ERRORS.get(status, ERRORS[HTTPStatus.INTERNAL_SERVER_ERROR])
        return self.page(
            "error",
            status,
            fields,
            title=said.title,
            text=said.text,
            incident=incident,
            again=again,
        )
