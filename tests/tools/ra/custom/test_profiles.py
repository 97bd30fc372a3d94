"""`cloudcard ra profile` at a real keystore."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from cloudcard.authenticator.v1.authenticator_pb2 import ListCardsRequest
from cloudcard.authenticator.v1.authenticator_pb2_grpc import AuthenticatorServiceStub
from cloudcard_tools.authenticator.command import authenticator
from cloudcard_tools.enrolment import spending
from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("profiles")
    with Nursery(folder / "logs") as nursery:
        yield KeystoreProcess(folder, nursery)


def run(keystore: KeystoreProcess, *words: str, status: int = 0) -> Result:
    operator = str(keystore.folder / "operator")
    done = CliRunner().invoke(ra, [*words, "--identity", operator])
    assert done.exit_code == status, done.output
    return done


def test_a_series_from_its_definition_to_its_end(
    keystore: KeystoreProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CARD-05: cards of a series are issued to phones that are new enough, and to no others."""
    made = ("--base", "v2", "--series", "Series 8", "--oldest-client", "1.10")
    run(keystore, "profile", "create", "series-8", *made, "--serial-prefix", "1508")
    assert "Series 8" in run(keystore, "profile", "list").stdout
    with monkeypatch.context() as patch:
        patch.setattr(spending, "said_by", lambda _role: ())
        _, phone = keystore.holder("Ada")

    def call_as(version: str) -> None:
        said = (("grpc.primary_user_agent", f"cloudcard/{version} (android 15)"),)
        with monkeypatch.context() as patch:
            patch.setattr(identity, "said_by", lambda _role: said)
            with identity.channel(phone) as channel:
                AuthenticatorServiceStub(channel).ListCards(ListCardsRequest(), timeout=60)

    call_as("1.9.9")
    refused = run(keystore, "card", "issue", "Ada", "--profile", "series-8", status=1)
    assert "need version 1.10 of the app" in refused.output
    run(keystore, "profile", "edit", "series-8", "--oldest-client", "1.9")
    issued = run(keystore, "card", "issue", "Ada", "--profile", "series-8", "--json")
    card = json.loads(issued.stdout)
    assert (card["series"], card["profile"], card["serial"][:4]) == ("Series 8", "v2", "1508")
    assert "Series 8" in run(keystore, "card", "list").stdout
    counted = json.loads(run(keystore, "report", "cards", "--json").stdout)
    assert "v2" in json.dumps(counted)
    in_use = run(keystore, "profile", "delete", "series-8", "--yes", status=1)
    assert "1 cards are of the profile" in in_use.output
    run(keystore, "card", "revoke", card["serial"], "--reason", "left", "--yes")
    run(keystore, "profile", "delete", "series-8", "--yes")
    assert (
        "there is no profile series-8"
        in run(keystore, "profile", "show", "series-8", status=1).output
    )
    assert "is built in" in run(keystore, "profile", "delete", "v2", "--yes", status=1).output


def test_how_many_days_are_left(keystore: KeystoreProcess) -> None:
    """CARD-13: the holder's phone is told within 90 days of the end, and not before."""
    _, phone = keystore.holder("Dora")
    terms = ("--base", "v2", "--series", "M", "--validity-days", "30")
    run(keystore, "profile", "create", "month", *terms)

    def issue(profile: str) -> str:
        issued = run(keystore, "card", "issue", "Dora", "--profile", profile, "--json")
        serial: str = json.loads(issued.stdout)["serial"]
        return serial

    serials = [issue("month"), issue("v2")]
    with identity.channel(phone) as channel:
        stub = AuthenticatorServiceStub(channel)
        heard = {each.serial: each for each in stub.ListCards(ListCardsRequest(), timeout=60).cards}
    ends = [heard[each].expire_time.ToDatetime(UTC) - datetime.now(UTC) for each in serials]
    assert heard[serials[0]].days_left == ends[0].days == 29
    assert (heard[serials[1]].HasField("days_left"), ends[1].days > 90) == (False, True)
    own = ["cards", "--identity", str(phone.folder), "--json"]
    told = json.loads(CliRunner().invoke(authenticator, own).stdout)
    printed = {each["serial"]: each["days_left"] for each in told}
    assert [printed[each] for each in serials] == [29, None]
