"""Diagnosis: which layer is to blame for a run, proposal or piece of work that failed or did poorly, with the facts that say so.

Invariants: one pass over facts and work rows, nothing is guessed beyond them: without a sign the layer is "none". The layers: model
(an agent's thinking, by model or code), tool (what effects and functions call), routing (who was asked), context (what was known),
policy (rules, people, budgets, controls, conflicts), platform (workers, store, broker, limits, what is not configured).
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from coordination import works
from coordination.codec import derive
from coordination.errors import StateError
from coordination.kpis import decisions_of, every
from coordination.proposals import OPEN, PROPOSAL, Proposal, proposal_id
from coordination.routing import CLASS as ROUTING
from coordination.routing import routing_id
from coordination.runs import runs
from kg.model import Entity, Op, Where
from kg.store import PAGE_MAX, GraphStore

NONE: Final = "none"
#: Characters of what a sign says.
SAYS_MAX: Final = 500
#: Runs started by runs that are looked into.
DEPTH_MAX: Final = 16

#: What words of a record mean; the first that fits counts. Errors are named by their class, which their raiser chose.
_WORDS: Final[Sequence[tuple[str, str]]] = (
    # What a function or an agent's code raised may say anything: it is told by who raised it.
    ("tool", r"^[\w.-]+ raised \w+"),
    ("policy", r"^(given up after \d+ tries: )?(\w+: )?agent \S+ raised (ModelBudget|Budget|Held)Error\b"),
    ("model", r"^(given up after \d+ tries: )?(\w+: )?agent \S+ (raised|gave|cites|answered with)\b"),
    ("model", r"\bmodel '[^']+' (cannot be reached|gave no usable answer)|gave no result in time"),
    ("tool", r"the process (ended with exit code|ran longer|wrote more)"),
    ("platform", r"the secret '.*' is not there|there is no secret "),
    (
        "policy",
        r"ModelBudgetError|BudgetError|^budget |budget \S+ has .* left|is held by|held by a control|not answered by",
    ),
    ("policy", r"^Cancelled: |the run \S+ was cancelled"),
    ("policy", r"nobody answered|^rejected by|forbidden by|no rule permits|rule could not be evaluated|needs approval"),
    (
        "policy",
        r"may not do|acts on behalf of more|belongs to the platform|a person chose|a person chooses|DeniedError",
    ),
    ("context", r"the proposal rests on|is not there any more|there is no entity|is not there; name its|MaskedError"),
    ("context", r"may not be seen"),
    ("routing", r"no agent is called|no agent is there for|answers no tasks|LaneError"),
    ("platform", r"the jq programs? (ran longer|used more)|larger than [\d,]+ (characters|bytes)"),
    (
        "platform",
        r"StoreError|StoreBusyError|BrokerError|ConflictError|LedgerError|OperationalError|MemoryError|CauseReusedError",
    ),
    (
        "platform",
        r"changed each time it was looked at|is not served here|no effector is called|the bound is|ended without an",
    ),
    ("platform", r"is claimed by|wait for each other|lost the claim|deep; end the circle|not configured"),
    ("model", r"ModelError|ModelOffError|AgentError|AgentFaultError|AnswerError|DraftError|gave no usable answer"),
    (
        "model",
        r"the answer cites|the answer's confidence|^the answer|it cannot be applied|agent \S+ raised",
    ),
    (
        "tool",
        r"answered \d{3}|refused with \d{3}|raised \w+|cannot be reached|nobody knows whether|gave no JSON|EffectorError",
    ),
)
_COMPILED: Final = tuple((layer, re.compile(words)) for layer, words in _WORDS)
#: What the title of an error of the patterns means, whatever agents said that stands in its words.
_TITLES: Final = {
    "Ping-Pong": "routing",
    "Too Many Handoffs": "routing",
    "Not Accepted": "model",
    "No Majority": "model",
    "No Progress": "model",
    "Silence": "model",
}
#: What it means where its words say nothing.
_ELSE: Final = {"No Answer": "model", "No Quorum": "model", "No Result": "model", "Too Many Failures": "model"}
#: Kinds of effectors whose answers a workflow reads.
_READ: Final = ("http", "openapi")
#: Seconds after which work that is due and that nobody took up is a sign.
LEFT_SECONDS: Final = 60
#: Kinds of the specification's errors that mean one layer where the words say nothing.
_KINDS: Final = {
    "authorization": "policy",
    "authentication": "policy",
    "communication": "tool",
    "expression": "context",
    "validation": "context",
    "timeout": "tool",
}
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
        left = _left(store, f"run:{id}/", now) if now is not None and entity["state"] not in runs.ENDS else ()
        return _verdict(id, str(entity["state"]), [*_of_run(store, entity, 0), *left])
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


def _of_run(store: GraphStore, run: Entity, depth: int) -> Iterator[Sign]:
    own = [Where("run", Op.EQ, run.id)]
    problem = _problem(run)
    steps = [step for step in every(store, runs.STEP, own) if step["state"] == "faulted"]
    blamed = problem is not None or run["state"] not in runs.ENDS
    last = max(steps, key=lambda step: step.since, default=None) if problem is not None else None
    key = _key(last) if last is not None else ""
    for entity in every(store, PROPOSAL, own):
        proposal = Proposal(entity)
        # A fault that the workflow caught and went on from is not what ended it.
        if not blamed or problem is None or not key or proposal.text("work") == key:
            yield from _of_proposal(store, proposal, False)
    if last is not None:
        yield from _text_instead(store, own, last)
    yield from _answers(store, own, last)
    yield from _routed(store, run, key)
    for entity in every(store, runs.RUN, [Where("parent", Op.EQ, run.id)]):
        if entity["state"] == runs.FAULTED and depth < DEPTH_MAX:
            inner = _verdict(entity.id, str(entity["state"]), list(_of_run(store, entity, depth + 1)))
            yield Sign("child", inner.layer, entity.id, inner.because[:SAYS_MAX], entity.version)
    if last is not None:
        yield _of_problem("step", last.id, _problem(last) or {}, last.version)
    if problem is not None:
        yield _of_problem("run", run.id, problem, run.version)
    if run["state"] not in runs.ENDS:
        yield from _waiting(store, f"run:{run.id}/")


def _text_instead(store: GraphStore, own: Sequence[Where], last: Entity) -> Iterator[Sign]:
    """What was called last answered with text, a login page for one, where an expression looked for members."""
    problem = _problem(last) or {}
    if not str(problem.get("type", "")).endswith("/expression") or "string" not in str(problem.get("detail", "")):
        return
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
    if isinstance(receipt.get("content"), str):
        yield Sign("proposal", "tool", proposal.id, "the target answered with text, no JSON", proposal.entity.version)


def _answers(store: GraphStore, own: Sequence[Where], last: Entity | None) -> Iterator[Sign]:
    """Answers that were too poor, or that passed their own check and are not what the workflow goes on with."""
    problem = (_problem(last) or {}) if last is not None else {}
    for answer in every(store, "AgentAnswer", list(own)):
        here = last is not None and answer.get("step") == last.id
        if answer["state"] == "poor" and (last is None or here):
            yield _sign("answer", answer.id, str(answer.get("reason", "")), "model", answer.version)
        elif here and str(problem.get("type", "")).endswith("/validation"):
            yield Sign("answer", "model", answer.id, str(problem.get("detail", ""))[:SAYS_MAX], answer.version)


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
        yield _sign("proposal", entity.id, f"{reason}" or state, usual, entity.version)
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
    kind = str(problem.get("type", "")).rpartition("/")[2]
    said = f"{problem.get('title', '')}: {problem.get('detail', '')}".strip(": ")
    title = str(problem.get("title", ""))
    layer = _TITLES.get(title) or _layer(str(problem.get("detail", "")), _ELSE.get(title, _KINDS.get(kind, "platform")))
    return Sign(source, layer, id, said[:SAYS_MAX], version)


def _sign(source: str, id: str, says: str, otherwise: str, version: int = 0) -> Sign:
    return Sign(source, _layer(says, otherwise), id, says[:SAYS_MAX], version)


def _layer(text: str, otherwise: str) -> str:
    return next((layer for layer, words in _COMPILED if words.search(text)), otherwise)


def _key(step: Entity) -> str:
    """The key of the call that a step made."""
    return f"run:{step['run']}/{step.get('strand', '0')}/{step['number']}"


def _problem(entity: Entity) -> dict[str, Any] | None:
    text = entity.get("error")
    return dict(json.loads(str(text))) if text else None
