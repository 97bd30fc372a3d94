"""Errors as clients get them: a status, a kind for programs, and nothing that is for the log."""

from __future__ import annotations

import json

import pytest
from structlog.testing import capture_logs

from cloud_keystore.http.problems import STATUS, of_error, of_status
from cloud_keystore.model import errors
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.rpc.refusals import GRPC_STATUS

SECRET = "s3cret of the database"
KINDS = [kind for kind in GRPC_STATUS if kind is not errors.NotAllowed]
# What went wrong in the keystore itself, which no client can mend
OWN = {errors.RecordDamaged, errors.StorageDamaged}


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_an_answer(kind: type[KeystoreError]) -> None:
    problem = of_error(kind(SECRET))
    told = json.loads(problem.body())
    assert told["status"] == problem.status
    assert told["type"].startswith("urn:cloudcard:problem:")
    assert (problem.status == 500) == (kind in OWN)
    if kind in OWN:
        assert SECRET not in problem.body().decode()


@pytest.mark.parametrize("error", [RuntimeError(SECRET), errors.RowNotAuthentic(SECRET)])
def test_what_only_the_log_may_tell_is_told_there(error: Exception) -> None:
    with capture_logs() as logs:
        problem = of_error(error)
    assert problem.status == 500
    assert SECRET not in problem.body().decode()
    (entry,) = logs
    assert entry["incident"] in problem.detail


def test_a_rejected_token_is_not_explained() -> None:
    one = of_error(errors.IdentityRejected("it was removed"))
    other = of_error(errors.IdentityRejected("there is no such token"))
    assert one == other
    assert "WWW-Authenticate" in one.response().headers


def test_whoever_asks_too_often_is_told_when_to_come_back() -> None:
    response = of_error(errors.TooManyCalls("slower", 2.5)).response()
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "3"


def test_those_of_the_protocol() -> None:
    assert of_status(405).kind == "method-not-allowed"


def test_every_refusal_has_a_status() -> None:
    """A page answered that the keystore had failed where a client was too old for a card."""
    assert [kind.__name__ for kind in GRPC_STATUS if kind not in STATUS] == []
