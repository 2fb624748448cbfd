"""Lines of the log: one event each, whatever its values hold; with what was under way; without secrets and addresses."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from api.listening import Listening
from api.logs import configure
from api.metrics import Metrics
from api.settings import Settings
from api.tracer import Tracer, make_provider
from kg import tracing

FORGED = (
    'fine\r\n2026-01-01T00:00:00Z critical  everything burns\n{"level": "critical", "event": "forged"}\x1b[2J\u2028x'
)
SECRET = "hunter2-hunter2"


@pytest.fixture
def quiet() -> Iterator[None]:
    """The logging of this process as it was, afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    tracing.install(None)


def lines(kind: str, *calls: Any, **more: Any) -> list[str]:
    out = io.StringIO()
    configure(Settings(log_format=kind, **more), out)
    for call in calls:
        call()
    return out.getvalue().splitlines()


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("kind", ["json", "console"])
def test_no_value_forges_a_line(kind: str) -> None:
    log, ours = logging.getLogger("some.library"), structlog.get_logger("noesis")
    found = lines(
        kind,
        lambda: log.warning("work %s was not sent", FORGED),
        lambda: log.warning(FORGED),
        lambda: ours.error(FORGED, reason=FORGED, **{FORGED: [FORGED, {FORGED: FORGED}]}),
        lambda: log.warning("extra", extra={"given": FORGED}),
    )
    assert len(found) == 4, "one event, one line"
    assert not [line for line in found if "\x1b" in line or "\u2028" in line]
    if kind == "json":
        assert [json.loads(line)["level"] for line in found] == ["warning", "warning", "error", "warning"]
    else:
        assert all(line.split()[1] in ("warning", "error") for line in found)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("kind", ["json", "console"])
def test_a_traceback_stays_with_its_event(kind: str) -> None:
    def fail() -> None:
        try:
            raise ValueError(FORGED)
        except ValueError:
            logging.getLogger("some.library").exception("it failed")

    found = lines(kind, fail)
    assert "it failed" in found[0]
    assert all(line.startswith("    ") for line in found[1:]), "a line of a stack cannot pass for an event"
    assert (len(found) == 1) == (kind == "json")


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("kind", ["json", "console"])
def test_no_secret_and_no_address_of_a_person_gets_into_a_line(kind: str) -> None:
    said = f"broker amqp://u:{SECRET}@b refused anna@example.org, +49 170 1234567"
    told = "\n".join(
        lines(
            kind,
            lambda: logging.getLogger("x").warning(said),
            lambda: structlog.get_logger().warning("e", detail={"a": [said]}),
            broker_url=f"amqp://u:{SECRET}@b",
        )
    )
    assert "refused" in told
    assert SECRET not in told
    assert "anna" not in told
    assert "1234567" not in told


@pytest.mark.usefixtures("quiet")
def test_a_line_below_a_span_names_cause_work_and_trace() -> None:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    tracing.install(Listening(Metrics(), Tracer(make_provider(1.0, SimpleSpanProcessor(kept)))))

    def work() -> None:
        with tracing.span(tracing.HANDLE, work="act:buyer:p:7", task="act", agent="buyer"):
            with tracing.span(tracing.COMMIT, cause="c1"):
                logging.getLogger("kg").warning("slow")
            logging.getLogger("kg").warning("after")

    inner, outer = map(json.loads, lines("json", work))
    assert (inner["work"], inner["agent"], inner["cause"]) == ("act:buyer:p:7", "buyer", "c1")
    assert "cause" not in outer
    (trace,) = {format(span.context.trace_id, "032x") for span in kept.get_finished_spans()}
    assert inner["trace"] == outer["trace"] == trace


@pytest.mark.usefixtures("quiet")
def test_the_level_is_kept() -> None:
    log = logging.getLogger("kg")
    assert len(lines("json", lambda: log.info("a"), lambda: log.warning("b"), log_level="warning")) == 1
    assert len(lines("json", lambda: log.debug("a"), log_level="debug")) == 1
