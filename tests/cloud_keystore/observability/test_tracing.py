"""Trace ids: read strictly, or made anew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cloud_keystore.audit import journal
from cloud_keystore.model import tracing
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.journal import Entry, Kind, decode
from cloud_keystore.model.tracing import TRACE_ID, TraceParent
from cloud_keystore.observability.traces import Traces, exporting
from cloud_keystore.storage import operations
from cloud_keystore.storage import tables as t
from support.keystore_world import World

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"  # of the recommendation, 3.2.3


def test_the_example_of_the_recommendation() -> None:
    parent = TraceParent("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=True)
    assert tracing.parse(GOOD) == parent
    assert str(parent) == GOOD


@given(st.binary(min_size=24, max_size=24).filter(lambda b: any(b[:16]) and any(b[16:])))
def test_what_is_made_parses_back(random: bytes) -> None:
    made = tracing.new(random)
    assert tracing.parse(str(made)) == made


@pytest.mark.parametrize(
    "bad",
    [
        "",
        GOOD.upper(),
        GOOD + "\n",
        GOOD + "-more",
        "01" + GOOD[2:],
        GOOD.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        GOOD.replace("b7ad6b7169203331", "0" * 16),
        "00-" + "\u0660" * 32 + "-b7ad6b7169203331-01",
        GOOD.encode(),
    ],
)
def test_a_malformed_parent_is_none(bad: str | bytes) -> None:
    assert tracing.parse(bad) is None


@given(st.text())
def test_any_text_is_a_parent_or_none(text: str) -> None:
    found = tracing.parse(text)
    assert found is None or str(found)[:52] == text[:52]


def test_the_journal_and_the_operation_keep_the_trace(world: World) -> None:
    user, _ = world.user()
    pc = world.workstation()
    serial = world.card(user)
    token = TRACE_ID.set("ab" * 16)
    try:
        operation = world.ask(serial, pc)
        with world.database.write() as connection:
            journal.append(connection, Entry(Kind.OPERATION_ASKED, world.clock(), KEYSTORE))
    finally:
        TRACE_ID.reset(token)
    with world.database.read() as connection:
        assert operations.trace_id(connection, operation.id) == "ab" * 16
        entry = connection.execute(t.journal.select()).mappings().all()[-1]["entry"]
    assert decode(entry).trace_id == "ab" * 16


def test_spans_are_below_their_caller() -> None:
    exporter = InMemorySpanExporter()
    traces = exporting(SimpleSpanProcessor(exporter))
    with traces.span("call", tracing.parse(GOOD)), traces.span("use case"):
        pass
    inner, outer = exporter.get_finished_spans()
    assert (inner.name, outer.name) == ("use case", "call")
    assert inner.context
    assert inner.parent
    assert outer.context
    assert outer.parent
    assert f"{inner.context.trace_id:032x}" == GOOD[3:35]
    assert f"{outer.parent.span_id:016x}" == GOOD[36:52]
    assert inner.parent.span_id == outer.context.span_id


def test_a_span_that_has_ended_is_below_its_caller_or_the_present_one() -> None:
    exporter = InMemorySpanExporter()
    traces = exporting(SimpleSpanProcessor(exporter))
    with traces.span("stream"):
        traces.ended("use", 2.5, tracing.parse(GOOD))
        traces.ended("use", 0.0, None)
    first, second, stream = exporter.get_finished_spans()
    assert first.parent
    assert second.parent
    assert stream.context
    assert f"{first.parent.span_id:016x}" == GOOD[36:52]
    assert second.parent.span_id == stream.context.span_id
    assert first.start_time
    assert first.end_time
    assert first.end_time - first.start_time == 2_500_000_000
    Traces().ended("use", 0.0, None)
    assert len(exporter.get_finished_spans()) == 3


def test_without_a_collector_nothing_is_made() -> None:
    with Traces().span("call", tracing.parse(GOOD)):
        assert not trace.get_current_span().get_span_context().is_valid
    with exporting(SimpleSpanProcessor(InMemorySpanExporter())).span("call"):
        assert trace.get_current_span().get_span_context().is_valid
