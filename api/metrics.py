"""Metrics in Prometheus' text format: what this process did, counted and timed, and where the whole installation stands.

Invariants: what stands in the store is read when somebody asks, within bounds, and a store or index that is away leaves its
rows out and says so; labels are names of the project and of the platform, never ids or values. The one module that imports
prometheus_client; it has a registry of its own, so two platforms in one process do not mix.
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final

from kg import tracing
from kg.tracing import Attribute

#: Seconds, from a commit on SQLite to a model that thinks.
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
#: What each timed span is called, and the attribute that becomes its label.
_TIMED: Final[Mapping[str, tuple[str, str, str, str]]] = {
    tracing.COMMIT: ("commit", "One commit, from its request to its answer.", "", ""),
    tracing.HANDLE: ("step", "One piece of work, from its claim to its end.", "task", "task"),
    tracing.OPERATION: ("graphql", "One GraphQL operation.", "", ""),
    tracing.INGEST: ("ingest", "One run of a mapping over its source.", "source", "source"),
    tracing.DECIDE: ("decide", "One evaluation of the rules on a proposal.", "", ""),
    tracing.ACT: ("act", "One act of an agent.", "agent", "gen_ai.agent.name"),
    tracing.ASK: ("model", "One question to a language model.", "model", "gen_ai.request.model"),
}
_COUNTED: Final[Mapping[str, tuple[str, str, str]]] = {
    tracing.DECISIONS: ("noesis_decisions", "Decisions on proposals that were committed.", "verdict"),
    tracing.EFFECTS: ("noesis_effects", "States that effects were committed in.", "status"),
    tracing.BREAK_GLASS: ("noesis_break_glass", "Break-glass that was opened, closed early or reviewed.", "what"),
    tracing.ASIDE: ("noesis_dead_letters", "Work that was put aside for a person.", "task"),
}
_TOKENS: Final = {"gen_ai.usage.input_tokens": "in", "gen_ai.usage.output_tokens": "out"}


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        from prometheus_client.process_collector import ProcessCollector

        self.registry = CollectorRegistry()
        self._watched = False
        ProcessCollector(registry=self.registry)
        self._timed = {
            span: Histogram(
                f"noesis_{name}_seconds", text, [label] if label else [], buckets=BUCKETS, registry=self.registry
            )
            for span, (name, text, label, _) in _TIMED.items()
        }
        self._counted = {
            name: Counter(metric, text, [label], registry=self.registry)
            for name, (metric, text, label) in _COUNTED.items()
        }
        self._failed = Counter(
            "noesis_failures", "Timed things that ended in an error.", ["what"], registry=self.registry
        )
        self._tokens = Counter(
            "noesis_model_tokens", "Tokens of language models.", ["model", "direction"], registry=self.registry
        )
        Gauge("noesis_info", "The version that runs.", ["version"], registry=self.registry).labels(
            version=version("noesis")
        ).set(1)

    def observe(self, name: str, attributes: Mapping[str, Attribute], seconds: float, failed: bool) -> None:
        """Note how long something took; spans that are not timed cost a look."""
        span = name.partition(" ")[0]
        histogram = self._timed.get(span)
        if histogram is None:
            return
        short, _, label, attribute = _TIMED[span]
        timed = histogram.labels(str(attributes.get(attribute, ""))) if label else histogram
        timed.observe(seconds)
        if failed:
            self._failed.labels(short).inc()
        for key, direction in _TOKENS.items():
            if key in attributes:
                self._tokens.labels(str(attributes["gen_ai.request.model"]), direction).inc(float(attributes[key]))

    def count(self, name: str, attributes: Mapping[str, Attribute]) -> None:
        """Note that something happened."""
        counter = self._counted.get(name)
        if counter is not None:
            counter.labels(str(attributes.get(_COUNTED[name][2], ""))).inc()

    def watch(self, standing: Any) -> None:
        """Report where the installation stands, too, once; `standing()` gives (name, help, label name, {label: value}) rows."""
        if not self._watched:
            self._watched = True
            self.registry.register(_Standing(standing))

    def text(self) -> tuple[bytes, str]:
        """All of it as text, and its media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _Standing:
    """A collector that asks when it is asked."""

    def __init__(self, standing: Any) -> None:
        self._standing = standing

    def describe(self) -> list[Any]:
        """Nothing beforehand: asking costs reads."""
        return []

    def collect(self) -> Iterator[Any]:
        """One gauge a row."""
        from prometheus_client.core import GaugeMetricFamily

        for name, text, label, values in self._standing():
            family = GaugeMetricFamily(name, text, labels=[label] if label else [])
            for key, value in values.items():
                family.add_metric([key] if label else [], value)
            yield family
