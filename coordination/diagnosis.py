"""Diagnosis: which layer is to blame for a run, proposal or piece of work that failed or did poorly, with the facts that say so.

Invariant: one pass over facts and work rows, nothing is guessed beyond them: without a sign the layer is "none". `LAYERS` says what
each of them means.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from coordination import reasons, works
from coordination.codec import derive
from coordination.errors import StateError
from coordination.kpis import decisions_of, every
from coordination.proposals import OPEN, PROPOSAL, Proposal, proposal_id
from coordination.routing import CLASS as ROUTING
from coordination.routing import routing_id
from coordination.runs import runs
from kg.model import Entity, Op, Where
from kg.store import PAGE_MAX, GraphStore
from kg.values import Ref

NONE: Final = "none"
#: Each layer in words: "model" is said of agents that ask no language model, too.
LAYERS: Final[Mapping[str, str]] = {
    "model": "what an agent made of it, by a language model or by its own code",
    "tool": "what effects and functions call",
    "routing": "who was asked",
    "context": "what was known",
    "policy": "rules, people, budgets, controls, conflicts",
    "platform": "workers, store, broker, limits, what is not configured",
    NONE: "no sign of a fault",
}
#: Characters of what a sign says.
SAYS_MAX: Final = 500
#: Runs started by runs that are looked into.
DEPTH_MAX: Final = 16

#: Kinds of effectors whose answers a workflow reads.
_READ: Final = ("http", "openapi")
#: Members by which services say in a good answer that it is none.
_ERRORS: Final = ("error", "errors")
#: Seconds after which work that is due and that nobody took up is a sign.
LEFT_SECONDS: Final = 60
#: How near to the root of the trouble each source of a sign is; the nearest counts.
_RANK: Final = ("answer", "routing", "proposal", "work", "child", "step", "run")


@dataclass(frozen=True, slots=True)
class Sign:
    """One fact that speaks for a layer: where it stands (entity and version, or work id), and what it says."""

    source: str
    layer: str
    id: str
    says: str
    version: int = 0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The layer to blame, why in one sentence, and every sign, the nearest to the root first."""

    subject: str
    state: str
    layer: str
    because: str
    signs: tuple[Sign, ...] = ()


def diagnose(store: GraphStore, id: str, now: datetime | None = None) -> Diagnosis:
    """The diagnosis of a run, a proposal, or work that was put aside; StateError where there is none of this id.

    With `now` it also tells of work that is due for a minute and that no worker took up.
    """
    entity = store.get([id]).get(id)
    if entity is not None and entity.cls == runs.RUN:
        return _verdict(id, str(entity["state"]), list(_of_run(store, entity, 0, now)))
    if entity is not None and entity.cls == PROPOSAL:
        return _verdict(id, str(entity["state"]), list(_of_proposal(store, Proposal(entity), True)))
    work = works.read(store, id)
    if work is None:
        raise StateError(f"there is no run, proposal or work {id[:80]!r}; list the runs, or see the failures")
    sign = _sign("work", work.id, work.reason, "model" if work.task == "act" else "platform")
    return _verdict(id, work.state, [sign] if work.reason else [])


def _verdict(id: str, state: str, signs: list[Sign]) -> Diagnosis:
    ordered = sorted(signs, key=lambda sign: _RANK.index(sign.source))
    named = [sign for sign in ordered if sign.layer != NONE]
    if not named:
        return Diagnosis(id, state, NONE, "nothing on record speaks of a fault", tuple(ordered))
    first = named[0]
    return Diagnosis(id, state, first.layer, f"{first.source} {first.id}: {first.says}", tuple(ordered))


def _of_run(store: GraphStore, run: Entity, depth: int, now: datetime | None) -> Iterator[Sign]:
    own = [Where("run", Op.EQ, run.id)]
    problem = _problem(run)
    steps = [step for step in every(store, runs.STEP, own) if step["state"] == "faulted"]
    blamed = problem is not None or run["state"] not in runs.ENDS
    last = _root(steps, problem) if problem is not None else None
    key = _key(last) if last is not None else ""
    for entity in every(store, PROPOSAL, own):
        proposal = Proposal(entity)
        # A fault that the workflow caught and went on from is not what ended it.
        if not blamed or problem is None or not key or proposal.text("work") == key:
            yield from _of_proposal(store, proposal, False)
    if last is not None:
        yield from _other_instead(store, own, last)
    yield from _answers(store, own, last, problem)
    yield from _routed(store, run, key)
    yield from _children(store, run, depth, now)
    if last is not None:
        yield _of_problem("step", last.id, _problem(last) or {}, last.version)
    if problem is not None:
        yield _of_problem("run", run.id, problem, run.version)
    if run["state"] == runs.CANCELLED:
        yield Sign("run", "policy", run.id, f"cancelled: {run.get('reason', '')}".rstrip(": ")[:SAYS_MAX], run.version)
    if run["state"] == runs.SUSPENDED:
        yield Sign("run", "policy", run.id, f"paused: {run.get('reason', '')}".rstrip(": ")[:SAYS_MAX], run.version)
    if run["state"] == runs.COMPLETED:
        yield from _idle(store, own)
    if run["state"] not in runs.ENDS:
        yield from _waiting(store, f"run:{run.id}/")
        yield from _left(store, f"run:{run.id}/", now) if now is not None else ()


def _root(steps: Sequence[Entity], problem: Mapping[str, Any]) -> Entity | None:
    """The step whose fault ended the run: where that began, not what stood around it.

    What a `catch` only raised anew, in words of the workflow, began inside its `try`.
    """
    found = max(steps, key=lambda step: step.since, default=None)
    for _ in range(DEPTH_MAX):
        origin, before = str(problem.get("instance", "")), found.since if found is not None else 0
        began = [step for step in steps if step["reference"] == origin and step.since <= before]
        found = max(began, key=lambda step: step.since, default=found)
        if found is None or found["kind"] != "raise" or reasons.named(_problem(found) or {}):
            break
        around, within, _rest = origin.rpartition("/catch/")
        inside = _last_inside(steps, f"{around}/try/", found) if within else None
        if inside is None:
            break
        found, problem = inside, _problem(inside) or {}
    return found


def _last_inside(steps: Sequence[Entity], place: str, before: Entity) -> Entity | None:
    """The last step that faulted inside a place before another of its strand, or of a strand that forked from that."""
    strand = f"{before.get('strand', '0')}."
    inside = [
        step
        for step in steps
        if str(step["reference"]).startswith(place)
        and f"{step.get('strand', '0')}.".startswith(strand)
        and step.since < before.since
    ]
    return max(inside, key=lambda step: step.since, default=None)


def _idle(store: GraphStore, own: Sequence[Where]) -> Iterator[Sign]:
    """Where a run came to its end and did nothing: tasks that nobody took, loops that had nothing to go through."""
    steps = [step for step in every(store, runs.STEP, list(own)) if step["state"] != "skipped"]
    for step in steps:
        if step["kind"] == "call" and step["state"] == "completed" and (left := _unassigned(step)):
            yield Sign("step", "routing", step.id, f"nobody took {', '.join(left)}"[:SAYS_MAX], step.version)
    entered = {str(step["reference"]) for step in steps}
    for step in steps:
        inside = f"{step['reference']}/"
        if step["kind"] == "for" and not any(reference.startswith(inside) for reference in entered):
            yield Sign("step", "context", step.id, f"{step['task']} had nothing to go through", step.version)


def _unassigned(step: Entity) -> list[str]:
    """The tasks that an allocation gave to nobody."""
    output: Any = json.loads(str(step.get("output") or "null"))
    found = output.get("unassigned") if isinstance(output, dict) and "awards" in output else None
    return [str(task) for task in found] if isinstance(found, list) else []


def _children(store: GraphStore, run: Entity, depth: int, now: datetime | None) -> Iterator[Sign]:
    """What ails the runs that it started: those that failed, and, while it goes on itself, those that it may wait for."""
    if depth >= DEPTH_MAX:
        return
    for entity in every(store, runs.RUN, [Where("parent", Op.EQ, Ref(run.id))]):
        open_ = run["state"] not in runs.ENDS and entity["state"] not in runs.ENDS
        if entity["state"] == runs.FAULTED or open_:
            inner = _verdict(entity.id, str(entity["state"]), list(_of_run(store, entity, depth + 1, now)))
            yield Sign("child", inner.layer, entity.id, inner.because[:SAYS_MAX], entity.version)


def _other_instead(store: GraphStore, own: Sequence[Where], last: Entity) -> Iterator[Sign]:
    """What was called last answered with text, a login page for one, or an error of its own where members were looked for."""
    problem = _problem(last) or {}
    if not str(problem.get("type", "")).endswith("/expression"):
        return
    text = "string" in str(problem.get("detail", ""))
    place, _, number = _key(last).rpartition("/")
    called: dict[int, Proposal] = {}
    for entity in every(store, PROPOSAL, own):
        where, _, at = str(entity.get("work", "")).rpartition("/")
        if where == place and int(at) <= int(number) and entity["effector"] in _READ:
            called[int(at)] = Proposal(entity)
    if not called:
        return
    proposal = called[max(called)]
    id = derive("effect", proposal.id)
    effect = store.get([id]).get(id)
    receipt: Any = json.loads(str(effect.get("receipt") or "{}")) if effect is not None else {}
    content = receipt.get("content")
    if isinstance(content, str) and text:
        yield Sign("proposal", "tool", proposal.id, "the target answered with text, no JSON", proposal.entity.version)
    elif isinstance(content, dict) and any(content.get(name) for name in _ERRORS):
        yield Sign(
            "proposal", "tool", proposal.id, "the target answered with an error of its own", proposal.entity.version
        )


def _answers(
    store: GraphStore, own: Sequence[Where], last: Entity | None, ended: Mapping[str, Any] | None
) -> Iterator[Sign]:
    """Answers that were too poor, or that passed their own check and are not what the workflow goes on or ends with."""
    problem = (_problem(last) if last is not None else ended) or {}
    unfit = str(problem.get("type", "")).endswith("/validation")
    given = last.id if last is not None else _gave(store, own) if unfit else ""
    for answer in every(store, "AgentAnswer", list(own)):
        here = given != "" and answer.get("step") == given
        if answer["state"] == "poor" and (last is None or here):
            # Its words are the agent's own, or quote it: they speak for nobody else.
            yield Sign("answer", "model", answer.id, str(answer.get("reason", ""))[:SAYS_MAX], answer.version)
        elif here and unfit:
            yield Sign("answer", "model", answer.id, str(problem.get("detail", ""))[:SAYS_MAX], answer.version)


def _gave(store: GraphStore, own: Sequence[Where]) -> str:
    """The step that ended last, whose output is that of the run."""
    steps = [step for step in every(store, runs.STEP, list(own)) if step["state"] == "completed"]
    return max(steps, key=lambda step: (step.since, int(str(step["number"])))).id if steps else ""


def _routed(store: GraphStore, run: Entity, key: str) -> Iterator[Sign]:
    """A choice is to blame where whom it chose did nothing, or was not allowed to, while another stood by."""
    for choice in every(store, ROUTING, [Where("run", Op.EQ, run.id)]):
        if key and choice["task"] != key:
            continue
        failed = cast(Sequence[str], choice.get("failed", ()))
        for text in failed:
            if not choice.get("agent"):
                yield _sign("routing", choice.id, str(text).partition(": ")[2], "model", choice.version)
        others = len(cast(Sequence[str], choice["chain"])) > 1 + len(failed)
        there = store.get([proposal_id(str(choice["task"]), 0)])
        over = choice["state"] == "ended" or (run["state"] in runs.ENDS and not _answered(store, choice))
        states = {str(entity["state"]) for entity in there.values()}
        silent = bool(key) is False and not there and over
        barred = any("no rule permits" in str(entity.get("reason", "")) for entity in there.values())
        if choice.get("agent") and others and (silent or (states == {"denied"} and barred)):
            what = "proposed nothing" if silent else "may not do this by any rule"
            yield Sign(
                "routing",
                "routing",
                choice.id,
                f"{choice['agent']} was chosen and {what}; others stood by",
                choice.version,
            )


def _of_proposal(store: GraphStore, proposal: Proposal, alone: bool) -> Iterator[Sign]:
    entity, state, reason = proposal.entity, proposal.state, proposal.text("reason")
    if state in ("applied", "simulated"):
        return
    if alone and proposal.text("run"):
        yield from (s for s in _routed_one(store, proposal) if s.layer == "routing")
    if state == "superseded":
        if any(words in reason for words in ("merged into", "newer facts", "asks for the same")):
            yield Sign("proposal", NONE, entity.id, reason[:SAYS_MAX], entity.version)
        else:
            yield Sign("proposal", "policy", entity.id, reason[:SAYS_MAX], entity.version)
        return
    usual = {"denied": "policy", "rejected": "policy", "waiting_approval": "policy", "conflicted": "policy",
             "expired": "context", "failed": "tool", "in_doubt": "tool"}.get(state, NONE)  # fmt: skip
    if state in ("denied", "rejected", "waiting_approval", "conflicted"):
        decisions = decisions_of(store, entity.id)
        # A rule cannot be asked about a class that an agent made up.
        layer = "model" if "is not in the ontology" in reason else "policy"
        said = f"{state}: {reason}" + (f" (decision {decisions[-1].id})" if decisions else "")
        yield Sign("proposal", layer, entity.id, said[:SAYS_MAX], entity.version)
    elif usual != NONE:
        # Once an effect was intended, its end is told in the words of whoever was to do it.
        asked = state in ("failed", "in_doubt") and derive("effect", entity.id) in store.get(
            [derive("effect", entity.id)]
        )
        layer = reasons.of_effect(reason, usual) if asked else reasons.of_words(reason, usual)
        yield Sign("proposal", layer, entity.id, (reason or state)[:SAYS_MAX], entity.version)
    if state in OPEN:
        for place in (f"settle:{entity.id}", "effect:"):
            yield from _waiting(store, place, entity.id)


def _answered(store: GraphStore, choice: Entity) -> bool:
    """Whether whom a choice named was asked a task and answered; how it did is learnt a little later."""
    id = derive("answer", str(choice["task"]))
    return id in store.get([id])


def _routed_one(store: GraphStore, proposal: Proposal) -> Iterator[Sign]:
    id = routing_id(proposal.text("work"))
    run = store.get([proposal.text("run")]).get(proposal.text("run"))
    if run is not None and id in store.get([id]):
        yield from _routed(store, run, proposal.text("work"))


def _waiting(store: GraphStore, prefix: str, proposal: str = "") -> Iterator[Sign]:
    """Work that waits with a reason."""
    if prefix == "effect:":
        prefix = f"effect:{derive('effect', proposal)}"
    for row in store.scan(works.KIND, prefix=prefix, first=PAGE_MAX):
        work = works.of(row)
        if work.reason and work.state in (works.READY, works.CLAIMED, works.FAILED):
            fallback = "tool" if work.task == "effect" else "platform"
            yield _sign("work", work.id, work.reason, fallback)


def _left(store: GraphStore, prefix: str, now: datetime) -> Iterator[Sign]:
    """Work of a run that is due and that nobody takes up."""
    due = works.micros(now) - LEFT_SECONDS * 1_000_000
    for row in store.scan(works.KIND, prefix=prefix, first=PAGE_MAX):
        work = works.of(row)
        if work.state == works.READY and not work.reason and work.until <= due:
            since = datetime.fromtimestamp(work.until / 1_000_000, UTC)
            says = f"no worker took it up since {since:%Y-%m-%d %H:%M} UTC; see that one runs, and that the broker is there"
            yield Sign("work", "platform", work.id, says)


def _of_problem(source: str, id: str, problem: dict[str, Any], version: int) -> Sign:
    said = f"{problem.get('title', '')}: {problem.get('detail', '')}".strip(": ")
    return Sign(source, reasons.of_problem(problem), id, said[:SAYS_MAX], version)


def _sign(source: str, id: str, says: str, otherwise: str, version: int = 0) -> Sign:
    return Sign(source, reasons.of_words(says, otherwise), id, says[:SAYS_MAX], version)


def _key(step: Entity) -> str:
    """The key of the call that a step made."""
    return f"run:{step['run']}/{step.get('strand', '0')}/{step['number']}"


def _problem(entity: Entity) -> dict[str, Any] | None:
    text = entity.get("error")
    return dict(json.loads(str(text))) if text else None
