"""Recommending: what people are asked to decide in a run, in five parts: what, why, evidence, alternatives, risk.

Invariant: what does not fit the five parts, or is longer than a person reads, is the workflow's validation error, so nobody is
shown what a model happened to say. It goes on record beside the decision that asks.
"""

from collections.abc import Mapping
from typing import Any, Final

from coordination.codec import derive
from coordination.runs.calls import Call
from coordination.workflow import schemas
from kg.model import Put, Write
from kg.values import Json, Ref, Value

RECOMMENDATION: Final = "Recommendation"
_TEXTS: Final[Mapping[str, Json]] = {"type": "array", "maxItems": 50, "items": {"type": "string", "maxLength": 500}}
#: JSON Schema of a recommendation.
SCHEMA: Final[Mapping[str, Json]] = {
    "type": "object",
    "required": ["what", "why", "evidence", "alternatives", "risk"],
    "additionalProperties": False,
    "properties": {
        "what": {"type": "string", "minLength": 1, "maxLength": 500},
        "why": {"type": "string", "minLength": 1, "maxLength": 2_000},
        "evidence": _TEXTS,
        "alternatives": _TEXTS,
        "risk": {"type": "string", "maxLength": 1_000},
    },
}


def recommended(call: Call, decision: str, given: Json) -> Write:
    """The recommendation as a fact; raises Fault where it is none."""
    schemas.check({"document": dict(SCHEMA)}, given, "the recommendation")
    properties: dict[str, Value] = {
        "run": call.run.id,
        "decision": Ref(decision),
        "what": given["what"],
        "rationale": given["why"],
        "risk": given["risk"] or "none named",
    }
    properties |= {name: tuple(given[name]) for name in ("evidence", "alternatives") if given[name]}
    return Put(derive("recommendation", decision), RECOMMENDATION, properties)


def worded(given: Mapping[str, Any]) -> str:
    """The recommendation in words, for where a decision shows a single text."""
    told = [given["what"], f"Why: {given['why']}"]
    told += [f"{name.capitalize()}: {', '.join(given[name])}" for name in ("evidence", "alternatives") if given[name]]
    return "\n".join([*told, *([f"Risk: {given['risk']}"] if given["risk"] else [])])[:2_000]
