"""The REST API as an application: its paths in one table, and its description (OpenAPI 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cloud_keystore.http.problems import MEDIA_TYPE, of_status
from cloud_keystore.http.reading import tell_problems
from cloud_keystore.rest import models as m
from cloud_keystore.rest import translating
from cloud_keystore.rest.calls import current
from cloud_keystore.rest.cards import CardCalls
from cloud_keystore.rest.codes import CodeCalls
from cloud_keystore.rest.own import OwnCalls
from cloud_keystore.rest.people import PeopleCalls
from cloud_keystore.rest.policies import PolicyCalls
from cloud_keystore.rest.profiles import ProfileCalls
from cloud_keystore.rest.repeating import NAME
from cloud_keystore.rest.shared_devices import SharedDeviceCalls
from cloud_keystore.rest.webhooks import WebhookCalls, happened

TITLE, VERSION = "cloudcard", "1"
DESCRIPTION = "The registration authority's REST API. docs/rest.md shows how to use it."
DESCRIBED_AT = "/openapi.json"
SHARED_DEVICE = "/v1/shared-devices/{shared_device_id}"
READING = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
CHANGING = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    *READING,
)
SAID: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "No JSON",
    HTTPStatus.UNAUTHORIZED: "No token, or none that is good",
    HTTPStatus.FORBIDDEN: "No role of the client allows it",
    HTTPStatus.NOT_FOUND: "Not there, or not shown to the client",
    HTTPStatus.CONFLICT: "Not in the present state",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Too large",
    HTTPStatus.PRECONDITION_FAILED: "Changed by somebody else meanwhile",
    HTTPStatus.PRECONDITION_REQUIRED: "If-Match is missing",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A value that cannot be used",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many calls",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of the keystore",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not now",
}
PROBLEM: Mapping[str, object] = {
    MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}
}


REPEATABLE: Mapping[str, object] = {
    "name": NAME,
    "in": "header",
    "required": False,
    "description": "The client's own, at random: a repeated request gets the answer of the first.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
}


class Row(NamedTuple):
    """One call: where it is, what serves it, and how it answers."""

    method: str
    path: str
    serve: Callable[..., object]
    status: HTTPStatus = HTTPStatus.OK

    @property
    def refusals(self) -> Sequence[HTTPStatus]:
        """With which statuses it can be refused."""
        if self.method == "PATCH":
            return (*CHANGING, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED)
        return READING if self.method == "GET" else CHANGING


def who() -> m.Client:
    """The client itself."""
    return translating.client(current().caller)


def rows(
    people: PeopleCalls,
    cards: CardCalls,
    own: OwnCalls,
    codes: CodeCalls,
    webhooks: WebhookCalls,
    policies: PolicyCalls,
    profiles: ProfileCalls,
    shared_devices: SharedDeviceCalls,
) -> Sequence[Row]:
    """All calls."""
    created = HTTPStatus.CREATED
    return (
        Row("GET", "/v1/client", who),
        Row("GET", "/v1/users", people.list_users),
        Row("POST", "/v1/users", people.add_user, created),
        Row("GET", "/v1/users/{user_id}", people.show_user),
        Row("PATCH", "/v1/users/{user_id}", people.change_user),
        Row("POST", "/v1/users/{user_id}:send-link", people.send_link),
        Row("POST", "/v1/users/{user_id}:close", people.close_user),
        Row("POST", "/v1/users/{user_id}/invitations", people.invite, created),
        Row("GET", "/v1/users/{user_id}/devices", people.list_devices),
        Row("POST", "/v1/devices/{device_id}:remove", people.remove_device),
        Row("GET", "/v1/shared-devices", shared_devices.list_shared_devices),
        Row("POST", "/v1/shared-devices", shared_devices.add_shared_device, created),
        Row("GET", SHARED_DEVICE, shared_devices.show_shared_device),
        Row("POST", f"{SHARED_DEVICE}:sign-out", shared_devices.sign_out_shared_device),
        Row("POST", f"{SHARED_DEVICE}:remove", shared_devices.remove_shared_device),
        Row("GET", "/v1/pending", people.list_pending),
        Row("GET", "/v1/expiring", people.list_expiring),
        Row("GET", "/v1/cards", cards.list_cards),
        Row("POST", "/v1/cards", cards.issue, created),
        Row("GET", "/v1/cards/{serial}", cards.show_card),
        Row("POST", "/v1/cards/{serial}:resume-issuing", cards.resume_issuing),
        Row("POST", "/v1/cards/{serial}:cancel-issuing", cards.cancel_issuing),
        Row("POST", "/v1/cards/{serial}:suspend", cards.suspend),
        Row("POST", "/v1/cards/{serial}:resume", cards.resume),
        Row("POST", "/v1/cards/{serial}:revoke", cards.revoke),
        Row("POST", "/v1/cards/{serial}:unlock", cards.unlock),
        Row("POST", "/v1/cards/{serial}:renew", cards.renew),
        Row("POST", "/v1/cards/{serial}:replace", cards.replace),
        Row("GET", "/v1/organisations", cards.list_organisations),
        Row("POST", "/v1/organisations", cards.add_organisation, created),
        Row("GET", "/v1/organisations/{organisation_id}/policy", policies.show_policy),
        Row("PUT", "/v1/organisations/{organisation_id}/policy", policies.set_policy),
        Row("GET", "/v1/users/{user_id}/policy", policies.show_policy_of_user),
        Row("GET", "/v1/cards/{serial}/policy", policies.show_policy_of_card),
        Row("GET", "/v1/profiles", cards.list_profiles),
        Row("GET", "/v1/custom-profiles", profiles.list_custom_profiles),
        Row("POST", "/v1/custom-profiles", profiles.add_custom_profile, created),
        Row("GET", "/v1/custom-profiles/{profile_id}", profiles.show_custom_profile),
        Row("PATCH", "/v1/custom-profiles/{profile_id}", profiles.change_custom_profile),
        Row(
            "DELETE",
            "/v1/custom-profiles/{profile_id}",
            profiles.remove_custom_profile,
            HTTPStatus.NO_CONTENT,
        ),
        Row("POST", "/v1/self/password:check", own.check_password),
        Row("POST", "/v1/self/password:change", own.change_password),
        Row("POST", "/v1/self/password:forget", own.forget_password),
        Row("POST", "/v1/self/password:questions", own.list_questions),
        Row("POST", "/v1/self/password:reset", own.reset_password),
        Row("POST", "/v1/qr:validate", codes.validate_qr),
        Row("GET", "/v1/webhooks", webhooks.list_webhooks),
        Row("POST", "/v1/webhooks", webhooks.add_webhook, created),
        Row("GET", "/v1/webhooks/{webhook_id}", webhooks.show_webhook),
        Row("DELETE", "/v1/webhooks/{webhook_id}", webhooks.remove_webhook, HTTPStatus.NO_CONTENT),
        Row("POST", "/v1/webhooks/{webhook_id}:rotate-secret", webhooks.rotate_secret),
        Row("POST", "/v1/webhooks/{webhook_id}:test", webhooks.test_webhook, HTTPStatus.ACCEPTED),
        Row("GET", "/v1/webhooks/{webhook_id}/deliveries", webhooks.list_deliveries),
        Row("POST", "/v1/webhooks/{webhook_id}:retry", webhooks.retry_deliveries),
    )


def application(
    people: PeopleCalls,
    cards: CardCalls,
    own: OwnCalls,
    codes: CodeCalls,
    webhooks: WebhookCalls,
    policies: PolicyCalls,
    profiles: ProfileCalls,
    shared_devices: SharedDeviceCalls,
) -> FastAPI:
    """The API, to be put behind a gate."""
    made = FastAPI(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        openapi_url=DESCRIBED_AT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    for row in rows(people, cards, own, codes, webhooks, policies, profiles, shared_devices):
        made.add_api_route(
            row.path,
            row.serve,
            methods=[row.method],
            status_code=row.status,
            operation_id=row.serve.__name__,
            summary=row.serve.__name__.replace("_", " ").capitalize(),
            description=" ".join((row.serve.__doc__ or "").split()),
            response_description="Done",
            responses={
                int(each): {"description": SAID[each], "content": dict(PROBLEM)}
                for each in row.refusals
            },
        )
    made.webhooks.add_api_route(
        "happened",
        happened,
        methods=["POST"],
        operation_id=happened.__name__,
        summary="Something has happened",
        description=" ".join((happened.__doc__ or "").split()),
        status_code=HTTPStatus.NO_CONTENT,
        response_description="Taken; any other status but 2xx, and it is sent again",
    )
    tell_problems(made)
    made.add_exception_handler(HTTPException, _no_call)
    made.openapi = lambda: _described(made)  # type: ignore[method-assign]
    return made


def description() -> dict[str, object]:
    """The description of the API (OpenAPI 3.1), which no keystore is needed for."""
    people, cards = PeopleCalls.__new__(PeopleCalls), CardCalls.__new__(CardCalls)
    own, webhooks = OwnCalls.__new__(OwnCalls), WebhookCalls.__new__(WebhookCalls)
    codes, policies = CodeCalls.__new__(CodeCalls), PolicyCalls.__new__(PolicyCalls)
    profiles = ProfileCalls.__new__(ProfileCalls)
    shared = SharedDeviceCalls.__new__(SharedDeviceCalls)
    return application(people, cards, own, codes, webhooks, policies, profiles, shared).openapi()


def _described(made: FastAPI) -> dict[str, object]:
    """The description, with the token that each call needs, and with problems."""
    if made.openapi_schema is None:
        found = get_openapi(
            title=made.title,
            version=made.version,
            description=made.description,
            routes=made.routes,
            webhooks=made.webhooks.routes,
        )
        parts = found.setdefault("components", {})
        schemas = parts.setdefault("schemas", {})
        template = "#/components/schemas/{model}"
        problem = m.ProblemDetails.model_json_schema(ref_template=template)
        schemas |= problem.pop("$defs", {}) | {"ProblemDetails": problem}
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path in found["paths"].values():
            if "post" in path:
                path["post"].setdefault("parameters", []).append(dict(REPEATABLE))
        for hook in found["webhooks"].values():
            hook["post"]["security"] = []  # it is signed instead
            hook["post"]["responses"].pop("422", None)
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
        made.openapi_schema = found
    return made.openapi_schema


async def _no_call(_request: Request, error: Exception) -> Response:
    """What the framework refuses: a path that is not there, or a method that it does not have."""
    assert isinstance(error, HTTPException)  # noqa: S101 (it is registered for nothing else)
    return of_status(error.status_code).response(error.headers or {})
