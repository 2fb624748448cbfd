"""Asking: `call: agent` with `task`: the agent answers, its answer is judged by what the workflow asks of one, and goes on record.

Invariants: an answer that is not good enough is the specification's validation error, never an output; it stays on record with the
reason. The answer's id follows from the call, so a step has one answer (I3). Asking changes nothing outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from coordination.acting import Acting, AgentCard, Answer, Assignment, ContextRecord
from coordination.codec import derive
from coordination.errors import AnswerError
from coordination.runs import runs
from coordination.runs.calls import Answer as Told
from coordination.runs.calls import Begun, Call
from coordination.workflow import schemas
from coordination.workflow.faults import Fault, fault
from kg import tracing
from kg.model import Put
from kg.payloads import text_of
from kg.store import GraphStore
from kg.values import Json, Ref, Value, canonical

ANSWER: Final = "AgentAnswer"
#: Characters of a task that go on record with the answer.
TASK_MAX: Final = 4_000
REASON_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks agents and reads what they answered."""

    store: GraphStore
    acting: Acting

    def begin(self, call: Call, card: AgentCard) -> Begun:
        """The answer as it goes on record; raises Fault where there is none."""
        assignment = Assignment(call.key, call.text("task"), call.arguments.get("context"), call.within)
        wanted = call.arguments.get("check") or {}
        if not isinstance(wanted, Mapping):
            raise fault("configuration", "`check` of `call: agent` is an object; give schema, evidence or confidence")
        told = {
            "gen_ai.operation.name": tracing.ACT,
            "gen_ai.agent.name": card.name,
            "gen_ai.agent.version": card.version,
        }
        try:
            with tracing.span(f"{tracing.ACT} {card.name}", **told):
                answer, record = self.acting.ask(card.name, assignment, self.store.head().position)
        except AnswerError as error:
            raise fault("runtime", str(error), title="No Answer") from error
        reason = poor(answer, wanted)
        id = derive("answer", call.key)
        properties, rows = runs.kept(call.run.id, "output", answer.output)
        properties |= _properties(call, card, assignment, answer, record, reason)
        return Begun({"answer": id}, [Put(id, ANSWER, properties)], rows)

    def look(self, call: Call, id: str) -> Told:
        """The answer, or the problem that it is not good enough."""
        entity = self.store.get([id])[id]
        if entity["state"] == "poor":
            problem = fault("validation", str(entity.get("reason", "")), status=422, title="Poor Answer")
            return {"problem": {"instance": call.reference, **problem.problem}}
        evidence: Any = entity.get("evidence", ())
        output: dict[str, Json] = {
            "agent": str(entity["agent"]),
            "output": runs.value(self.store, call.run.id, entity, "output"),
            "evidence": list(evidence),
            "confidence": float(str(entity["confidence"])),
            "cost": float(str(entity["cost"])),
            "answer": id,
        }
        return {"output": output}


def poor(answer: Answer, wanted: Mapping[str, Json]) -> str:
    """Why an answer is not what was wanted, empty where it is: `schema`, least number of `evidence`, least `confidence`."""
    try:
        least, sure = int(wanted.get("evidence", 0)), Decimal(str(wanted.get("confidence", 0)))
    except (TypeError, ValueError, InvalidOperation) as error:
        raise fault("configuration", "`check` takes a whole number of evidence and a confidence from 0 to 1") from error
    if len(answer.evidence) < least:
        return f"the answer cites {len(answer.evidence)} items of evidence where {least} are asked for"
    if answer.confidence < sure:
        return f"the answer's confidence is {answer.confidence} where {sure} is asked for"
    if "schema" in wanted:
        try:
            schemas.check({"document": wanted["schema"]}, answer.output, "the answer")
        except Fault as error:
            if error.problem["status"] == 400 and str(error.problem["type"]).endswith("/validation"):
                return str(error)[:REASON_MAX]
            raise
    return ""


def _properties(
    call: Call, card: AgentCard, assignment: Assignment, answer: Answer, record: ContextRecord, reason: str
) -> dict[str, Value]:
    properties: dict[str, Value] = {
        "run": call.run.id,
        "step": Ref(call.step),
        "agent": card.name,
        "agentVersion": card.version,
        "task": assignment.text[:TASK_MAX],
        "state": "poor" if reason else "good",
        "confidence": answer.confidence,
        "cost": answer.cost,
        # What it knew is what it read, what it was asked and what went along.
        "contextHash": derive("asked", record.hash, assignment.text, text_of(assignment.data)),
        "contextPosition": record.position,
    }
    if answer.evidence:
        properties["evidence"] = tuple(f"{item.id}@{item.version}" for item in answer.evidence)
    if record.model:
        properties["model"] = canonical(dict(record.model))
    return properties | ({"reason": reason[:REASON_MAX]} if reason else {})
