"""Traces over OpenTelemetry: spans as its SDK keeps them, sent to a collector by OTLP over HTTP. The one module that imports it.

Invariants: the process's global provider stays unset; an error's text, which may hold anything, never becomes part of a span,
only its type does; what cannot be sent is dropped and delays nobody. Off, and not even imported, until a collector is named.
"""

import threading
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Final

from api.errors import SettingsError
from api.settings import Settings
from kg import tracing
from kg.tracing import Attribute

#: Spans that wait to be sent at most; more are dropped.
WAITING_MAX: Final = 8_192
#: Seconds in which the rest is sent when a process ends; what is left then is lost.
CLOSE_SECONDS: Final = 3.0
#: Seconds that one request to the collector may take, retries included.
SEND_SECONDS: Final = 10


class Tracer:
    """Makes spans for `api.listening`; `give_up` ends a sending that is under way."""

    def __init__(self, provider: Any, give_up: Callable[[], object] = lambda: None) -> None:
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._give_up = give_up
        self._context: Any = context
        self._trace: Any = trace
        self._propagator = TraceContextTextMapPropagator()
        self._tracer = provider.get_tracer("noesis", version("noesis"))
        kinds = trace.SpanKind
        self._kinds = {tracing.OPERATION: kinds.SERVER, tracing.SEND: kinds.PRODUCER, tracing.PROCESS: kinds.CONSUMER}

    def start(self, name: str, parent: str, attributes: Mapping[str, Attribute]) -> "Traced":
        """Begin a span below the one under way, or below `parent` where that belongs to another trace."""
        above = self._propagator.extract({"traceparent": parent}) if parent else None
        if above is not None:
            told = self._trace.get_current_span(above).get_span_context()
            mine = self._trace.get_current_span().get_span_context()
            if not told.is_valid or mine.trace_id == told.trace_id:
                above = None
        kind = self._kinds.get(name, self._trace.SpanKind.CLIENT if name.startswith("chat ") else None)
        shown = {_name(key): value for key, value in attributes.items() if value != ""}
        span = self._tracer.start_span(
            name, context=above, kind=kind or self._trace.SpanKind.INTERNAL, attributes=shown
        )
        token = self._context.attach(self._trace.set_span_in_context(span))
        return Traced(self, span, token)

    def carried(self) -> str:
        """The traceparent of the span under way, empty where there is none or it is not kept."""
        carrier: dict[str, str] = {}
        if self._trace.get_current_span().get_span_context().trace_flags.sampled:
            self._propagator.inject(carrier)
        return carrier.get("traceparent", "")

    def ended(self, token: Any) -> None:
        """Go back to the span above."""
        self._context.detach(token)

    def close(self) -> None:
        """Send what waits, within CLOSE_SECONDS."""
        # The exporter would go on trying a collector that is away, whatever time it is given.
        late = threading.Timer(CLOSE_SECONDS, self._give_up)
        late.daemon = True
        late.start()
        try:
            self._provider.shutdown()
        finally:
            late.cancel()


class Traced:
    """One span of OpenTelemetry under way."""

    __slots__ = ("_span", "_token", "_tracer")

    def __init__(self, tracer: Tracer, span: Any, token: Any) -> None:
        self._tracer = tracer
        self._span = span
        self._token = token

    def set(self, name: str, value: Attribute) -> None:
        """Note what became known."""
        self._span.set_attribute(_name(name), value)

    def end(self, failed: type[BaseException] | None) -> None:
        """End it, with the type of the error that ended it."""
        if failed is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_attribute("error.type", failed.__qualname__)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
        self._tracer.ended(self._token)


def _name(name: str) -> str:
    return name if "." in name else f"noesis.{name}"


def make_provider(ratio: float, processor: Any) -> Any:
    """A provider of its own, which keeps this share of traces and hands each span to the processor."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    resource = Resource.create({"service.name": "noesis", "service.version": version("noesis")})
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)), resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider


def make_tracer(settings: Settings) -> Tracer | None:
    """The tracer of these settings, None where no collector is named; SettingsError where its package is missing."""
    if settings.otlp_url is None:
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter.otlp") is None:
        raise SettingsError("otlp_url needs the OTLP exporter; install noesis[telemetry], or leave it out")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    headers = {"authorization": settings.otlp_key.get_secret_value()} if settings.otlp_key is not None else None
    address = f"{settings.otlp_url.rstrip('/')}/v1/traces"
    exporter = OTLPSpanExporter(endpoint=address, headers=headers, timeout=SEND_SECONDS)
    processor = BatchSpanProcessor(exporter, max_queue_size=WAITING_MAX)
    return Tracer(make_provider(settings.trace_ratio, processor), exporter.shutdown)
