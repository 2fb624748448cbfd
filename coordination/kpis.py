"""KPIs: figures of workflows, computed from facts alone, each by the formula of docs/kpis.md. `agent_kpis` has those of agents.

Invariants: what was only simulated counts nowhere; what there is none of is None, never zero. It reads runs, steps, proposals,
decisions and approvals, and keeps nothing, so two readers of one graph get the same.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from coordination.codec import derive
from coordination.measures import Measure, measure_of
from coordination.proposals import PROPOSAL
from coordination.runs import runs
from coordination.runs.definitions import Definitions
from governance import approvals
from kg.model import Cursor, Entity, Op, Where
from kg.store import PAGE_MAX, GraphStore

#: Runs, proposals and steps that one figure looks at.
READ_MAX: Final = 100_000
#: Decisions of one proposal.
DECISIONS_MAX: Final = 100
ASKED: Final = frozenset({"needs_approval", "escalate"})
Figures = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Incident:
    """One time that something failed: how long the failing took until it was known, and until it was repaired (None: not yet)."""

    detected: float
    repaired: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of people: how many were escalated to them, and how they answered."""

    escalated: int = 0
    approved: int = 0
    rejected: int = 0

    def __add__(self, other: "Asked") -> "Asked":
        return Asked(self.escalated + other.escalated, self.approved + other.approved, self.rejected + other.rejected)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One run, as far as figures are concerned; seconds. `good` says that it did what it was for; `ended` None: it still runs."""

    good: bool
    failed: bool
    seconds: float | None
    asked: Asked = field(default_factory=Asked)
    tokens: int = 0
    incidents: tuple[Incident, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one workflow or agent, with what it promised."""

    subject: str
    transactions: int
    figures: Figures
    measure: Measure | None = None

    @property
    def met(self) -> bool | None:
        """Whether the promise is kept, None where there is none, or nothing to judge."""
        return None if self.measure is None else self.measure.met(self.figures[self.measure.metric])


def figures(made: Sequence[Transaction], measure: Measure | None) -> Figures:
    """Every figure, by name; the formulas are those of docs/kpis.md."""
    ended = [it for it in made if it.seconds is not None]
    good = [it for it in ended if it.good]
    incidents = [incident for it in made for incident in it.incidents]
    asked = sum((it.asked for it in made), Asked())
    tokens = sum(it.tokens for it in made)
    sla = measure.sla if measure is not None else None
    baseline, attended = (measure.baseline, measure.attended) if measure is not None else (None, 0.0)
    price = float(measure.price) if measure is not None and measure.price is not None else None
    answers = asked.approved + asked.rejected
    cycles = sorted(cast(float, it.seconds) for it in good)
    return {
        "completion_rate": _share(len(good), len(ended)),
        "error_rate": _share(sum(it.failed for it in ended), len(ended)),
        "cycle_time_seconds": _mean(cycles),
        "cycle_time_p95_seconds": cycles[max(0, -(-len(cycles) * 95 // 100) - 1)] if cycles else None,
        "mttd_seconds": _mean([it.detected for it in incidents]),
        "mttr_seconds": _mean([it.repaired for it in incidents if it.repaired is not None]),
        "incidents": float(len(incidents)),
        "incidents_open": float(sum(it.repaired is None for it in incidents)),
        "sla_adherence": None if sla is None else _share(sum(x <= sla for x in cycles), len(ended)),
        "escalations": float(asked.escalated),
        "escalation_rate": _share(sum(it.asked.escalated > 0 for it in made), len(made)),
        "approval_rate": _share(asked.approved, answers),
        "tokens_per_transaction": _share(tokens, len(good)),
        "cost_per_transaction": None if price is None else _share(tokens / 1_000 * price, len(good)),
        "hours_saved": None if baseline is None else (len(good) * baseline - answers * attended) / 3_600,
    }


def workflow_kpis(store: GraphStore, definitions: Definitions, name: str, since: datetime | None = None) -> Report:
    """The figures of a workflow, NAMESPACE.NAME with or without a version; the promise is that of the version last begun."""
    called = Where("called", Op.EQ, name) if ":" in name else Where("called", Op.PREFIX, f"{name}:")
    where = [called, *([Where("began", Op.GE, since)] if since is not None else [])]
    found = [entity for entity in every(store, runs.RUN, where) if not entity.get("sandbox")]
    measure = None
    if found:
        last = max(found, key=lambda entity: (str(entity["began"]), entity.id))
        measure = measure_of(definitions.plan(str(last["workflow"])).document)
    made = [_run(store, entity) for entity in found]
    return Report(name, len(made), figures(made, measure), measure)


def workflows(store: GraphStore) -> list[str]:
    """The names of the workflows that are registered."""
    return sorted({f"{entity['namespace']}.{entity['name']}" for entity in every(store, "Workflow", [])})


def every(store: GraphStore, cls: str, where: Sequence[Where]) -> Iterator[Entity]:
    """Every entity of a class that meets the conditions, up to READ_MAX."""
    after: Cursor | None = None
    for _ in range(READ_MAX // PAGE_MAX):
        page = store.find(cls, where, after=after, first=PAGE_MAX)
        yield from page.items
        after = page.next
        if after is None:
            return


def moment(store: GraphStore, entity: Entity) -> datetime:
    """When this version was committed."""
    return store.changes(entity.since - 1, 1)[0].at


def tokens_of(entity: Entity) -> int:
    """The tokens of the model calls that a proposal or answer rests on."""
    text = entity.get("model")
    calls: Any = json.loads(str(text)).get("calls", ()) if text else ()
    return sum(int(call.get("tokensIn", 0)) + int(call.get("tokensOut", 0)) for call in calls)


def asked_of(store: GraphStore, decisions: Sequence[Entity]) -> Asked:
    """What some decisions on one matter asked of people, and what these answered."""
    asking = [decision for decision in decisions if decision["outcome"] in ASKED]
    counts = [
        len({str(it["principal"]) for d in asking for it in approvals.answers(store, d.id, verdict)})
        for verdict in ("approve", "reject")
    ]
    return Asked(int(bool(asking)), *counts)


def decisions_of(store: GraphStore, proposal: str) -> list[Entity]:
    """The decisions on a proposal."""
    return [edge.entity for edge in store.expand([proposal], "decidedBy", first=DECISIONS_MAX)[proposal]]


def _run(store: GraphStore, entity: Entity) -> Transaction:
    own = [Where("run", Op.EQ, entity.id)]
    proposals, steps = list(every(store, PROPOSAL, own)), list(every(store, runs.STEP, own))
    answers = list(every(store, "AgentAnswer", own))
    asked = sum((asked_of(store, decisions_of(store, it.id)) for it in proposals), Asked())
    asked = sum((asked_of(store, list(store.get([id]).values())) for id in map(_approval, steps)), asked)
    state, ended = entity["state"], entity.get("ended")
    seconds = _between(entity["began"], ended) if isinstance(ended, datetime) and state in runs.ENDS else None
    tokens = sum(tokens_of(it) for it in (*proposals, *answers))
    incidents = _incidents(store, entity, steps)
    return Transaction(state == runs.COMPLETED, state == runs.FAULTED, seconds, asked, tokens, incidents)


def _approval(step: Entity) -> str:
    """The id that the decision of a `call: approve` has."""
    return derive("approve", f"run:{step['run']}/{step.get('strand', '0')}/{step['number']}")


def _incidents(store: GraphStore, run: Entity, steps: Sequence[Entity]) -> tuple[Incident, ...]:
    """Each time that the run faulted: since the failing step began, and until the run completed after all."""
    made: list[tuple[datetime, float]] = []
    completed: datetime | None = None
    if run.version == 1:
        return ()
    before = ""
    for version in store.history(run.id):
        if version["state"] == runs.FAULTED and before != runs.FAULTED:
            at = moment(store, version)
            began = [cast(datetime, it["began"]) for it in steps if it["state"] == "faulted"]
            made.append((at, _between(max((it for it in began if it <= at), default=at), at)))
        if version["state"] == runs.COMPLETED:
            completed = moment(store, version)
        before = str(version["state"])
    return tuple(Incident(took, None if completed is None else _between(at, completed)) for at, took in made)


def _between(one: object, other: object) -> float:
    return (cast(datetime, other) - cast(datetime, one)).total_seconds()


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
