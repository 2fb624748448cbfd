"""Asking: how a pattern asks one agent, and what happens where the answer is not good enough: again, another agent, or a person.

Invariant: only an answer that passed its check goes on. A person gets a recommendation in five parts, never what the model said.
Answers have one form: agent, output, evidence, confidence, cost, and the id of the record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from coordination.errors import WorkflowError
from coordination.patterns import sound
from coordination.patterns.about import refused
from coordination.workflow import builder as b
from coordination.workflow.builder import PLAIN, Common, Duration, Named
from kg.values import Json

#: What an evaluating agent answers.
VERDICT: Final[Json] = {
    "type": "object",
    "required": ["accepted"],
    "properties": {"accepted": {"type": "boolean"}, "reason": {"type": "string"}, "score": {"type": "number"}},
}


@dataclass(frozen=True, slots=True)
class Check:
    """What a good answer has: output that fits a JSON Schema, so many items of evidence, so much confidence."""

    schema: Json = None
    evidence: int = 0
    confidence: float = 0.0

    def form(self) -> dict[str, Json]:
        """As the call has it."""
        made: dict[str, Json] = {"schema": self.schema, "evidence": self.evidence, "confidence": self.confidence}
        return {name: value for name, value in made.items() if value not in (None, 0)}

    def shaped(self, schema: Json) -> "Check":
        """With this schema where it has none of its own."""
        return replace(self, schema=schema) if self.schema is None else self


#: Every answer is good.
ANY: Final = Check()


@dataclass(frozen=True, slots=True)
class Person:
    """Who decides where no answer was good enough: roles with how many of each, what they are recommended, and its risk.

    `output` is what goes on once they approve, an expression sees the data as `.before`; a no is the authorization error.
    """

    approvers: Mapping[str, int]
    what: str
    risk: str
    output: Json = None
    alternatives: Sequence[str] = ()
    timeout: Duration = field(default_factory=lambda: {"days": 7})


@dataclass(frozen=True, slots=True)
class Ask:
    """An agent and what makes its answer good. `task` may be an expression over the data at its place; empty is the pattern's own.

    `retries` are tries after the first; then the `fallback` agents are asked in their order, then the `person`, then it fails.
    `evaluator` is an agent that accepts the answer or does not.
    """

    agent: str
    task: str = ""
    check: Check = ANY
    evaluator: str = ""
    retries: int = 1
    delay: Duration = 0
    timeout: Duration | None = None
    fallback: Sequence[str] = ()
    person: Person | None = None


def asked(
    name: str, ask: Ask, *, task: str = "${ .task }", context: Json = "${ . }", among: Sequence[str] = (),
    common: Common = PLAIN,
) -> Named:  # fmt: skip
    """The task that asks; its output is the answer in its one form."""
    if not ask.agent:
        raise WorkflowError(f"the task {name[:80]!r} asks nobody; name its agent")
    sound.whole(f"how often {ask.agent[:80]!r} is asked again", ask.retries, 0)
    sound.whole(f"how much evidence {ask.agent[:80]!r} has to give", ask.check.evidence, 0)
    if not isinstance(ask.check.confidence, int | float) or not 0 <= ask.check.confidence <= 1:
        raise WorkflowError(f"the confidence asked of {ask.agent[:80]!r} is from 0 to 1; correct it")
    said = ask.task or task
    wanted: dict[str, Json] = {"agent": ask.agent, "task": said, "context": context}
    wanted |= {"check": ask.check.form()} if ask.check.form() else {}
    wanted |= {"among": list(among)} if among else {}
    limited = Common(timeout=ask.timeout)
    tasks = [b.call("answer", "agent", wanted, limited)]
    if ask.evaluator:
        tasks += _judged(ask, said)
    instead = _instead(ask, said, context)
    if not ask.retries and not instead:
        return b.do(name, tasks, common) if len(tasks) > 1 or common is not PLAIN else Named(name, tasks[0].body)
    policy = (
        b.retry(count=ask.retries, delay=ask.delay, except_when="${ $error.status == 400 }") if ask.retries else None
    )
    return b.try_(name, tasks, b.catch(instead or None, retry=policy), common)


def tried(name: str, task: Named, agent: str) -> Named:
    """A task whose failure is an answer too: agent and `failed`, the problem."""
    failed = b.set_("failed", {"agent": agent, "failed": "${ $error }"})
    return b.try_(name, [task], b.catch([failed]))


def _judged(ask: Ask, said: str) -> list[Named]:
    """The evaluator's say on the answer; its verdict replaces nothing, it only lets through or refuses."""
    question = "Judge whether this answer fulfils its task; say accepted or not, and the reason."
    about: dict[str, Json] = {"task": said if "${" not in said else f"the task of {ask.agent}", "answer": "${ . }"}
    judge: dict[str, Json] = {"agent": ask.evaluator, "task": question, "context": about, "check": {"schema": VERDICT}}
    kept = "{verdict: .output, answer: $input}"
    error = refused("Poor Answer", '${ "not accepted: " + (.verdict.reason // "no reason given") }')
    return [
        b.call("judge", "agent", judge, Common(output_as=f"${{ {kept} }}")),
        b.raise_("refuse", error, Common(if_="${ .verdict.accepted | not }")),
        b.set_("accept", "${ .answer }"),
    ]


def _instead(ask: Ask, said: str, context: Json) -> list[Named]:
    if ask.fallback:
        other = replace(ask, agent=ask.fallback[0], fallback=ask.fallback[1:], retries=0)
        return [asked("fallback", other, task=said, context=context)]
    return (
        decided(ask.person, '${ "no answer was good enough: " + ($error.detail // $error.title) }')
        if ask.person
        else []
    )


def decided(person: Person, why: str) -> list[Named]:
    """The tasks that put a recommendation to people, and answer with what they approved."""
    sound.approvers(person.approvers)
    advice: dict[str, Json] = {
        "what": person.what,
        "why": why,
        "evidence": ['${ "run " + $workflow.id }'],
        "alternatives": list(person.alternatives),
        "risk": person.risk,
    }
    wanted: dict[str, Json] = {
        "approvers": dict(person.approvers),
        "recommendation": advice,
        "timeout": b.duration(person.timeout),
    }
    kept = Common(output_as="${ {by: .by, before: $input} }")
    answer = {"agent": "person", "output": person.output, "evidence": [], "confidence": 1, "cost": 0, "by": "${ .by }"}
    return [b.call("decide", "approve", wanted, kept), b.set_("approved", answer)]
