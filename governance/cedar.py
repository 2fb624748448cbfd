"""The only module that knows cedarpy: parse, render, validate and evaluate Cedar.

Invariant: a text that could exhaust the native parser's stack never reaches it (it would end the process), and no message of
Cedar that quotes entities leaves this module. Knows neither rules nor the ontology.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cedarpy

from governance.errors import RuleError
from governance.verdict import Answer
from kg.values import Json

#: Characters of one rule; the longest of the public Cedar examples has below 2,000.
TEXT_MAX: Final = 20_000
#: Brackets inside one another; the native parser overflows its stack near 2,000, its JSON reader stops near 100.
NESTING_MAX: Final = 24
#: Levels of the parsed statement, as JSON; deeper ones are refused by Cedar's own JSON reader.
DEPTH_MAX: Final = 120
_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*', re.DOTALL)
_ERRING = re.compile(r"^error while evaluating policy `(.*?)`: (.*)$", re.DOTALL)
_POSITIONAL = re.compile(r"^(?:\[[^\]]*\] )?(?:for policy `[^`]*`, )?")

PolicySet = cedarpy.PolicySet
Schema = cedarpy.Schema


@dataclass(frozen=True, slots=True)
class Uid:
    """A Cedar entity uid; kept apart from text, so that no quoting can go wrong."""

    type: str
    id: str

    def json(self) -> dict[str, str]:
        """The uid as Cedar's JSON has it."""
        return {"type": self.type, "id": self.id}


def parse(text: str) -> list[dict[str, Json]]:
    """The statements of a text as Cedar's JSON; raises RuleError with the parser's own words, or for templates and excess."""
    if len(text) > TEXT_MAX:
        raise RuleError(f"the text has {len(text):,} characters, more than {TEXT_MAX:,}; split the rule")
    _refuse_deep(text)
    try:
        found: dict[str, Any] = json.loads(cedarpy.policies_to_json_str(text))
    except RecursionError:
        raise RuleError("the condition is nested too deeply; split the rule") from None
    except ValueError as error:
        raise RuleError(f"is no Cedar statement: {error}; see docs.cedarpolicy.com for the syntax") from None
    if found["templates"]:
        raise RuleError("is a template (?principal, ?resource); write the principal or resource out")
    statements = list(found["staticPolicies"].values())
    for statement in statements:
        if depth(statement) > DEPTH_MAX:
            raise RuleError("the condition is nested too deeply; split the rule")
    return statements


def _refuse_deep(text: str) -> None:
    level = 0
    for sign in re.finditer(r"[(\[{)\]}]", _STRING_OR_COMMENT.sub("", text)):
        level += 1 if sign.group() in "([{" else -1
        if level > NESTING_MAX:
            raise RuleError(f"more than {NESTING_MAX} brackets stand inside one another; split the rule")


def depth(form: Json) -> int:
    """How deeply lists and objects stand inside one another, without recursion."""
    deepest, level, layer = 0, 0, [form]
    while layer:
        deepest, level = level, level + 1
        layer = [
            inner
            for outer in layer
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return deepest


def render(statement: Mapping[str, Json]) -> str:
    """The Cedar text of one statement in JSON form."""
    return str(cedarpy.policies_from_json_str(_document({"policy0": json.dumps(statement)})))


def _document(policies: Mapping[str, str]) -> str:
    inside = ",".join(f"{json.dumps(id)}:{policy}" for id, policy in policies.items())
    return f'{{"templates":{{}},"staticPolicies":{{{inside}}},"templateLinks":[]}}'


def policy_set(policies: Mapping[str, str]) -> PolicySet:
    """The parsed handle of statements in JSON text by id; the ids are those that decisions name."""
    return cedarpy.PolicySet.from_json_str(_document(policies))


def schema(form: Mapping[str, Json]) -> Schema:
    """The parsed handle of a schema in Cedar's JSON form."""
    return cedarpy.Schema.from_json_str(json.dumps(form))


def validate(statement: Mapping[str, Json], handle: Schema) -> list[str]:
    """What strict validation finds wrong with a statement, in Cedar's words without its positional ids."""
    result = cedarpy.validate_policies(render(statement), handle)
    return list(dict.fromkeys(_POSITIONAL.sub("", str(error)) for error in result.errors))


def authorize(policies: PolicySet, principal: Uid, action: str, resource: Uid, context: str, entities: str) -> Answer:
    """Cedar's answer to one request; `context` and `entities` are JSON texts. What Cedar cannot read gives NoDecision."""
    request = {
        "principal": principal.json(),
        "action": {"type": "Action", "id": action},
        "resource": resource.json(),
        "context": context,
    }
    try:
        result = cedarpy.is_authorized(request, policies, entities)
    except ValueError:
        return Answer("NoDecision", (), ("the request cannot be read as Cedar",))
    if result.decision is cedarpy.Decision.NoDecision:
        # Cedar's message quotes the entities, whose values may be personal.
        return Answer("NoDecision", (), ("the request cannot be read as Cedar",))
    diagnostics = result.diagnostics
    return Answer(
        "Allow" if result.allowed else "Deny",
        tuple(sorted(diagnostics.reasons)),
        tuple(sorted(map(_erring, diagnostics.errors))),
    )


def _erring(message: str) -> str:
    """An evaluation error as ``rule id: message``; the id is as Cedar prints it."""
    match = _ERRING.match(message)
    return f"{match.group(1)}: {match.group(2)}" if match else message
