"""What an application says of requests that it cannot read, or has no call for."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from cloud_keystore.http.problems import Problem, Wrong, of_error
from cloud_keystore.model.errors import KeystoreError

MOST_WRONG = 20  # things in one problem


def tell_problems(made: FastAPI) -> None:
    """Let an application tell its errors as problems."""
    made.add_exception_handler(KeystoreError, _refused)
    made.add_exception_handler(RequestValidationError, _misread)
    made.add_exception_handler(Exception, _refused)


async def _refused(_request: Request, error: Exception) -> Response:
    return of_error(error).response()


async def _misread(_request: Request, error: Exception) -> Response:
    """What is wrong in a request, without what was sent, which can be a secret."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    wrong = [
        Wrong("/".join(map(str, each["loc"]))[:200], str(each["msg"])[:200])
        for each in error.errors()[:MOST_WRONG]
    ]
    if any(each["type"] == "json_invalid" for each in error.errors()):
        detail = "the body is no JSON: send an object, with Content-Type: application/json"
        return Problem(HTTPStatus.BAD_REQUEST, "malformed-json", detail).response()
    detail = "; ".join(f"{each.where}: {each.detail}" for each in wrong)
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return Problem(status, "invalid-input", detail, wrong=wrong).response()
