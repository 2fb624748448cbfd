"""What the conformance features ask of an engine, and the naive interpreter as the first one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from coordination.workflow.cron import Cron
from coordination.workflow.document import Document, parse
from tests.conformance.workflow_calls import Calls
from tests.oracles import workflow as oracle

Json = Any
#: When a scenario begins, where it does not say so.
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Case:
    """What a scenario sets up. `events` arrive so many microseconds after the start; a crash happens right after a task began.

    `route` maps the address of a public service to that of its local stand-in.
    """

    definition: str = ""
    input: Json = None
    events: list[tuple[int, dict[str, Json]]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    secrets: dict[str, Json] = field(default_factory=dict)
    crashes: list[str] = field(default_factory=list)
    start: datetime = START
    route: Callable[[str], str] = lambda address: address


@dataclass
class Outcome:
    """How a run ended. `trace` holds (phase, task name, reference), in order.

    The phases are started, completed, faulted, cancelled and skipped. Times are microseconds. `told` holds the lifecycle events as
    (reference, event), the workflow's under no reference; those of a mere change of status are left out.
    """

    status: str
    output: Json = None
    error: dict[str, Json] | None = None
    trace: list[tuple[str, str, str]] = field(default_factory=list)
    emitted: list[dict[str, Json]] = field(default_factory=list)
    outputs: dict[str, Json] = field(default_factory=dict)
    elapsed: int = 0
    started: datetime | None = None
    told: list[tuple[str, dict[str, Json]]] = field(default_factory=list)


class Engine(Protocol):
    """Something that runs workflows; time passes as the engine likes, as long as it tells how much passed."""

    name: str

    def execute(self, case: Case) -> Outcome:
        """Run the case's workflow to its end."""
        ...

    def scheduled(self, case: Case, length: int) -> list[Outcome]:
        """Let the case's workflow be started by its schedule for so many microseconds; the runs in order of their start."""
        ...


class Naive:
    """The oracle as an engine."""

    name = "oracle"

    def execute(self, case: Case) -> Outcome:
        """Run in memory; a crash means nothing to it."""
        return self._run(case, case.input, case.events, case.start)

    def scheduled(self, case: Case, length: int) -> list[Outcome]:
        """Each start that the schedule names, one after the other."""
        body = parse(case.definition).body
        schedule = body["schedule"]
        end = case.start + timedelta(microseconds=length)
        if "on" in schedule:
            return self._on_events(case, schedule)
        runs: list[Outcome] = []
        at = case.start
        while True:
            if "cron" in schedule:
                at = Cron(schedule["cron"]).after(at)
            elif "every" in schedule:
                at += timedelta(microseconds=oracle.length(schedule["every"]))
            if at > end:
                return runs
            runs.append(self._run(case, case.input, [], at))
            if "after" in schedule:
                at += timedelta(microseconds=runs[-1].elapsed + oracle.length(schedule["after"]))

    def _on_events(self, case: Case, schedule: Json) -> list[Outcome]:
        """A listener without end before the workflow: what it takes is what starts a run."""
        runs: list[Outcome] = []
        waiting = sorted(case.events, key=lambda pair: pair[0])
        while waiting:
            listening = {
                "document": parse(case.definition).body["document"],
                "do": [{"on": {"listen": {"to": schedule["on"], "read": schedule.get("read", "data")}}}],
            }
            world = oracle.World(events=list(waiting))
            try:
                taken = oracle.run(listening, None, world)
            except oracle.Stuck:
                return runs
            at = case.start + timedelta(microseconds=world.now)
            runs.append(self._run(case, taken.output, [], at))
            waiting = world.events
        return runs

    def _run(self, case: Case, input: Json, events: list[tuple[int, dict[str, Json]]], at: datetime) -> Outcome:
        document = parse(case.definition)
        now = round(at.timestamp() * oracle.SECOND)
        others = [parse(text) for text in case.others]
        world = oracle.World(
            call=Calls(case.route, document.body.get("use", {}).get("authentications"), case.secrets),
            events=sorted(((now + after, event) for after, event in events), key=lambda pair: pair[0]),
            workflows={(other.namespace, other.name, other.version): other.body for other in others},
            secrets=case.secrets,
            now=now,
        )
        try:
            ended = oracle.run(document.body, input, world)
        except oracle.Stuck:
            return Outcome("waiting", trace=world.trace, emitted=world.emitted, started=at)
        told = _told(document, ended, at)
        return Outcome(
            ended.status, ended.output, ended.error, ended.trace, ended.emitted, world.outputs, ended.elapsed, at, told
        )


def _told(document: Document, ended: oracle.Outcome, at: datetime) -> list[tuple[str, dict[str, Json]]]:
    """The lifecycle events that the specification wants of what the oracle did; all at one time, for it has no clock of theirs."""
    found: list[tuple[str, dict[str, Json]]] = []
    failed: set[str] = set()
    name = f"{document.name}.{document.namespace}"

    def tell(reference: str, kind: str, **more: Json) -> None:
        whose = {"workflow": name, "task": reference} if reference else {"name": name}
        of = "task" if reference else "workflow"
        past = {f"{kind}At": at.isoformat()}
        event = {
            "specversion": "1.0", "id": str(len(found)), "source": "/tests", "subject": reference or name,
            "type": f"io.serverlessworkflow.{of}.{kind}.v1", "time": at.isoformat(), "data": {**whose, **more, **past},
        }  # fmt: skip
        found.append((reference, event))

    version = {"namespace": document.namespace, "name": document.name, "version": document.version}
    tell("", "started", definition=version)
    for phase, _, reference in ended.trace:
        if phase in ("started", "skipped"):
            tell(reference, "created")
        if phase == "started" and reference in failed:
            tell(reference, "retried")
        if phase != "skipped":
            tell(reference, phase, **({"error": ended.told[reference]} if phase == "faulted" else {}))
        failed = failed | {reference} if phase == "faulted" else failed - {reference}
    tell("", ended.status, **({"error": ended.error} if ended.status == "faulted" else {}))
    return found
