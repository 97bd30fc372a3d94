"""OpenTelemetry spans of calls; without a collector they cost nothing.

The standard variable OTEL_EXPORTER_OTLP_ENDPOINT names a collector, such as http://127.0.0.1:4318.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from cloud_keystore.model.tracing import TraceParent

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@dataclass(frozen=True, slots=True)
class Traces:
    """Makes spans if it has a provider."""

    provider: TracerProvider | None = None

    def span(
        self, name: str, parent: TraceParent | None = None, attributes: Mapping[str, str] = {}
    ) -> AbstractContextManager[None]:
        """A span around the block: below `parent`, or below the current span."""
        if self.provider is None:
            return nullcontext()
        return _span(self.provider, name, parent, attributes)

    def ended(self, name: str, seconds: float, parent: TraceParent | None) -> None:
        """A span that ends now and has lasted so long: below `parent` or the current span."""
        if self.provider is None:
            return
        above = None if parent is None else trace.set_span_in_context(_remote(parent))
        now = time.time_ns()
        span = self.provider.get_tracer("cloudcard").start_span(
            name, context=above, start_time=now - round(seconds * 1e9)
        )
        span.end(now)

    def close(self) -> None:
        """Send the remaining spans."""
        if self.provider is not None:
            self.provider.shutdown()


def from_environment(environment: Mapping[str, str]) -> Traces:
    """Traces exported by OTLP over HTTP if a collector is named; otherwise traces without spans."""
    if not environment.get(ENDPOINT):
        return Traces()
    return exporting(BatchSpanProcessor(OTLPSpanExporter()))


def exporting(processor: SpanProcessor) -> Traces:
    """Traces that go to a processor of spans."""
    provider = TracerProvider(resource=Resource.create({"service.name": "cloudcard-keystore"}))
    provider.add_span_processor(processor)
    return Traces(provider)


@contextmanager
def _span(
    provider: TracerProvider, name: str, parent: TraceParent | None, attributes: Mapping[str, str]
) -> Iterator[None]:
    tracer = provider.get_tracer("cloudcard")
    above = None if parent is None else trace.set_span_in_context(_remote(parent))
    with tracer.start_as_current_span(
        name,
        context=above,
        attributes=dict(attributes),
        record_exception=False,  # a traceback can quote secrets
        set_status_on_exception=False,
    ):
        yield


def _remote(parent: TraceParent) -> trace.NonRecordingSpan:
    return trace.NonRecordingSpan(
        trace.SpanContext(
            trace_id=int(parent.trace_id, 16),
            span_id=int(parent.span_id, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
        )
    )
