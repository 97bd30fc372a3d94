"""Everything that crosses the border arrives as it was, and nothing else arrives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import get_origin

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cloud_keystore.border.encoding import CALLER, Codec, Plain, Unreadable, pack, unpack
from cloud_keystore.border.presented import Presented
from cloud_keystore.border.table import Method, methods
from cloud_keystore.cards.administration import Administrator
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.pki.est import EstServer
from cloud_keystore.model.profiles import PROFILES, CardProfile
from cloud_keystore.run.offering import access
from cloud_keystore.run.offering.use_cases import EnrolmentUseCases, MainUseCases, StatusUseCases

METHODS = {
    **methods(MainUseCases, access.MAIN),
    **methods(EnrolmentUseCases, access.ENROLMENT),
    **methods(StatusUseCases, access.STATUS),
}
FEW = settings(max_examples=5, suppress_health_check=list(HealthCheck))
OURS = replace(Presented(b"c" * 32, Role.OPERATOR).stand_in(), id="operator 1")
INJECTED = (Identity, Actor)


@pytest.fixture(autouse=True, scope="module")
def strategies() -> Iterator[None]:
    """What the service's values are made of: times in UTC, and numbers that a row can hold."""
    st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
    st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
    st.register_type_strategy(float, st.floats(allow_nan=False))
    st.register_type_strategy(timedelta, st.timedeltas())
    st.register_type_strategy(CardProfile, st.sampled_from([*PROFILES.values()]))
    st.register_type_strategy(Actor, st.just(Actor(ActorKind.KEYSTORE)))
    url = st.sampled_from(["https://est.example.org", "https://[::1]:8443/est"])
    own_name = st.sampled_from(["", "ra"])
    server = st.builds(EstServer, url, st.binary(), own_name, st.binary(), st.booleans())
    st.register_type_strategy(EstServer, server)
    yield
    for kind, own in (
        (datetime, st.datetimes()),
        (int, st.integers()),
        (float, st.floats()),
    ):
        st.register_type_strategy(kind, own)


def drawn(data: st.DataObject, kind: object) -> object:
    try:
        return data.draw(st.from_type(kind))  # type: ignore[arg-type]
    except (InvalidInput, ValueError):  # a value that its own class refuses
        assume(False)
        raise


def crossed(value: object, kind: type, codec: Codec) -> object:
    return codec.value(unpack(pack(codec.plain(value, kind))), kind)


@pytest.mark.parametrize("asked", METHODS.values(), ids=[*METHODS])
@FEW
@given(data=st.data())
def test_results_arrive_as_they_were(asked: Method, data: st.DataObject) -> None:
    kind = asked.outcome or asked.result
    value = drawn(data, kind)
    arrived = crossed(value, kind, Codec(callers=False))
    if isinstance(value, Sequence):
        assert list(arrived) == list(value)  # type: ignore[call-overload]
    else:
        assert arrived == value


@pytest.mark.parametrize("asked", METHODS.values(), ids=[*METHODS])
@FEW
@given(data=st.data())
def test_arguments_arrive_as_they_were(asked: Method, data: st.DataObject) -> None:
    codec = Codec(callers=True)
    CALLER.set(OURS)
    for kind in asked.parameters.values():
        if kind in INJECTED or kind is Administrator or _is_abstract(kind):
            continue
        value = drawn(data, kind)
        assert crossed(value, kind, codec) == value


def _is_abstract(kind: object) -> bool:
    """Whether a list arrives for any collection."""
    origin = get_origin(kind)
    return isinstance(origin, type) and origin.__module__ == "collections.abc"


def test_nobody_is_named_but_the_caller() -> None:
    """A process of the network that was taken over could otherwise act as anybody."""
    codec, other = Codec(callers=True), replace(OURS, id="operator 2")
    CALLER.set(OURS)
    assert crossed(other, Identity, codec) == OURS
    assert crossed(other.actor, Actor, codec) == OURS.actor
    named = crossed(Administrator("1000", b"proof", other), Administrator, codec)
    assert named == Administrator("1000", b"proof", OURS)
    for forged, kind in (
        (Codec(callers=False).plain(other, Identity), Identity),
        ({"kind": "operator", "id": "operator 2"}, Actor),
    ):
        with pytest.raises(Unreadable):
            codec.value(forged, kind)


@pytest.mark.parametrize(
    ("plain", "kind"),
    [
        (1, str),
        ("1", int),
        (True, int),
        (1, bool),
        ("text", bytes),
        (b"bytes", str),
        (None, bytes),
        (99, Role),
        ([1], tuple[bytes, ...]),
        ({"id": "x"}, Identity),
        ({"card_serial": "1", "proof": b"", "workstation": None, "more": 1}, Administrator),
        (["Nothing", {}], METHODS["enrolment.enrol"].parameters["registration"]),
        (["NativeRegistration"], METHODS["enrolment.enrol"].parameters["registration"]),
    ],
)
def test_no_value_of_another_type_arrives(plain: Plain, kind: type) -> None:
    CALLER.set(OURS)
    with pytest.raises(Unreadable):
        Codec(callers=True).value(plain, kind)


def test_a_refusal_to_read_does_not_quote() -> None:
    with pytest.raises(Unreadable) as refused:
        Codec(callers=True).value({"secret": b"135790"}, Administrator)
    assert "135790" not in str(refused.value)
    assert refused.value.__cause__ is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        unpack(raw)
    except Unreadable as refused:
        assert "msgpack" in str(refused)


def test_no_nesting_ends_the_process() -> None:
    with pytest.raises(Unreadable):
        unpack(b"\x91" * 100_000 + b"\xc0")


def test_each_kind_of_union_is_known() -> None:
    """A union of other things than dataclasses would arrive as whatever fits first."""
    kinds = (
        METHODS["enrolment.enrol"].parameters["registration"],
        METHODS["passcodes.verify"].result,
    )
    assert all(isinstance(kind, UnionType) for kind in kinds)
