"""What is of high risk at the pages, and asks for a log-in of the last minutes: the first one, or
another one, which then takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_keystore.web.ra.visiting import AREA, AT, LOG_IN

_PERSON, _OWN = f"{AT}/people/{{user_id}}", f"{AT}/my-log-in"
_CARD = f"{_PERSON}/cards/{{serial}}"
_ASKING = (  # which ask before they do something
    f"{AT}/several",
    f"{_PERSON}/close",
    *(f"{_CARD}/{act}" for act in ("revoke", "resume")),
    *(f"{AT}/grants/add", f"{AT}/grants/{{grant_id}}/withdraw"),
    *(f"{AT}/roles/add", f"{AT}/roles/{{role_id}}/change", f"{AT}/roles/{{role_id}}/delete"),
    f"{AT}/organisations/{{organisation_id}}/change",
    f"{AT}/policies/{{term}}",
    f"{AT}/requests/{{request_id}}/approve",
    *(_OWN, f"{_OWN}/{{passkey_id}}/remove"),
)
# The paths, and the page to which the log-in leads.
HIGH_RISK: Mapping[str, str] = MappingProxyType(
    {
        **{path: path for path in _ASKING},
        f"{_PERSON}/invite": _PERSON,
        f"{_CARD}/code": _PERSON,
        f"{_PERSON}/devices/{{device_id}}/pin-code": f"{_PERSON}/devices",
        f"{_OWN}/asked": _OWN,
    }
)


def route(request: Request) -> str:
    """The path of a page, with the names of its parts."""
    return str(getattr(request.scope.get("route"), "path", ""))


def once_more(request: Request) -> Response:
    """Lead to the log-in, and from there to where it can be done."""
    wanted = request.url.path
    own = route(request)
    to = HIGH_RISK.get(own, AT if request.method == "POST" else own)
    if to != own:
        parts = {name: quote(str(value)) for name, value in request.path_params.items()}
        wanted = to.format(**parts)
    elif request.url.query:
        wanted = f"{wanted}?{request.url.query}"
    said = {"next": AREA.own_path(wanted), "again": "yes"}
    return RedirectResponse(
        f"{LOG_IN}?{urlencode(said)}", HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"}
    )
