"""The Cedar schema derived from the ontology, and what Cedar's validator leaves open: attributes asked for with ``has``.

Invariant: a rule that names a class, property, action or context attribute that does not exist is refused, naming the rule and the
word. Principals have no attributes in rules: they are asked for their roles and departments only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from governance import cedar
from governance.attributes import SCHEMA_TYPES, currency_attribute
from governance.errors import RuleError
from governance.principals import KINDS
from governance.rulebook import LABEL
from governance.scope import actions, reads, resource_scope
from governance.statement import parse_rule, widen
from governance.verdict import ACTIONS
from kg.errors import OntologyError
from kg.ontology import Ontology
from kg.values import Json

_STRING: Final = {"type": "String"}
_ALWAYS: Final[Mapping[str, Json]] = {
    "satisfied": {"type": "Set", "element": _STRING},
    "onBehalfOf": {**_STRING, "required": False},
    "breakGlass": {"type": "Boolean"},
    "purpose": {**_STRING, "required": False},
}
_AMOUNT: Final[Mapping[str, Json]] = {
    "amount": {"type": "Extension", "name": "decimal", "required": False},
    "currency": {**_STRING, "required": False},
}
_EFFECT: Final[Mapping[str, Json]] = {
    **_AMOUNT,
    "operation": _STRING,
    "effect": _STRING,
    "confidence": {"type": "Extension", "name": "decimal"},
    "priority": {"type": "Long"},
}
#: Of what leaves the house: where to, and which labels and kinds of personal data it held.
_LEAVING: Final[Mapping[str, Json]] = {
    "host": {**_STRING, "required": False},
    "region": {**_STRING, "required": False},
    "labels": {"type": "Set", "element": _STRING, "required": False},
}
_OPERATION: Final[Mapping[str, Json]] = {"operation": {**_STRING, "required": False}}
#: What the context of each action holds. An attribute without ``required`` is always there.
CONTEXTS: Final[Mapping[str, Mapping[str, Json]]] = {
    "read": {**_ALWAYS, "class": {**_STRING, "required": False}},
    "propose": {**_ALWAYS, **_EFFECT},
    "apply": {**_ALWAYS, **_EFFECT, **_LEAVING},
    "approve": {**_ALWAYS, **_AMOUNT, **_OPERATION, "answer": _STRING},
    "callTool": {**_ALWAYS, **_EFFECT, "tool": {**_STRING, "required": False}, **_LEAVING},
    "callModel": {**_ALWAYS, **_AMOUNT, **_OPERATION, "model": {**_STRING, "required": False}, **_LEAVING},
    "configure": {**_ALWAYS, **_OPERATION},
    "control": {**_ALWAYS, "operation": _STRING, "scope": _STRING},
}
_GROUPS: Final = ("Role", "Department")


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """What rules may speak of: the parsed schema, each class's attributes and department, and the ontology's subclasses."""

    ontology: Ontology
    handle: cedar.Schema
    attributes: Mapping[str, frozenset[str]]
    departments: Mapping[str, str | None]


def vocabulary(ontology: Ontology) -> Vocabulary:
    """The vocabulary of an ontology."""
    attributes = {name: frozenset(_attributes(ontology, name)) for name in ontology.classes}
    return Vocabulary(ontology, cedar.schema(schema(ontology)), attributes, departments(ontology))


def departments(ontology: Ontology) -> dict[str, str | None]:
    """The department of each class: its own or the first that a parent has."""
    found: dict[str, str | None] = {}
    for name in ontology.classes:
        queue = [name]
        # The list grows while it is read: parents first to last, each once.
        for cls in queue:
            queue.extend(parent for parent in ontology.classes[cls].parents if parent not in queue)
        found[name] = next((d for cls in queue if (d := ontology.classes[cls].department) is not None), None)
    return found


def schema(ontology: Ontology) -> dict[str, Json]:
    """The ontology as a Cedar schema in JSON: every class an entity type, every action on every class."""
    types: dict[str, Json] = {group: {} for group in _GROUPS}
    for name in ontology.classes:
        attributes = _attributes(ontology, name)
        types[name] = {"memberOfTypes": ["Department"], "shape": {"type": "Record", "attributes": attributes}}
    for kind in KINDS:
        types.setdefault(kind, {})["memberOfTypes"] = list(_GROUPS)
    types[LABEL] = {}
    classes = sorted({*ontology.classes, *KINDS})
    return {
        "": {
            "entityTypes": types,
            "actions": {
                action: {
                    "appliesTo": {
                        "principalTypes": list(KINDS),
                        "resourceTypes": [*classes, LABEL] if action == "read" else classes,
                        "context": {"type": "Record", "attributes": dict(CONTEXTS[action])},
                    }
                }
                for action in ACTIONS
            },
        }
    }


def _attributes(ontology: Ontology, cls: str) -> dict[str, Json]:
    properties = ontology.classes[cls].properties
    found: dict[str, Json] = {}
    for name, property in properties.items():
        item = SCHEMA_TYPES[property.type]
        # Entities written before a property became required lack it, so principals' own entities stay optional throughout.
        required = property.required and cls not in KINDS
        found[name] = {**({"type": "Set", "element": item} if property.many else item), "required": required}
        if property.type == "money" and not property.many:
            beside = currency_attribute(name)
            if beside in properties:
                raise OntologyError(
                    f"class {cls}: {name!r} is money, so rules call its currency {beside!r}; rename that property"
                )
            found[beside] = {**_STRING, "required": required}
    return found


def check(text: str, words: Vocabulary) -> str:
    """The name of the rule in a text that is valid against the vocabulary; RuleError naming rule and word otherwise."""
    name, statement = parse_rule(text)
    for fault in _faults(statement, words):
        raise RuleError(f"rule {name}: {fault}")
    problems = cedar.validate(statement, words.handle)
    if problems:
        raise RuleError(f"rule {name}: {problems[0]}{_hint(problems[0], words)}")
    # The widened form is what is evaluated, so it must be valid too, for every subclass.
    # A label, a role or a department is a type of Cedar and no class: it has nothing below it.
    classes = words.ontology.classes
    widened = widen(statement, lambda cls: words.ontology.subclasses(cls) if cls in classes else (cls,))
    for problem in cedar.validate(widened, words.handle) if widened != statement else ():
        raise RuleError(f"rule {name}: for a subclass, {problem}")
    return name


def _faults(statement: Mapping[str, Json], words: Vocabulary) -> Iterator[str]:
    """What Cedar's validator lets pass although it can never match, or never be meant."""
    read = reads(statement)
    if read.principal:
        word = sorted(read.principal)[0]
        yield f'attribute `{word}` of the principal is unknown; ask for its role: principal in Role::"…"'
    if any(function == "unknown" for function in _functions(statement)):
        yield "function `unknown` is not supported; remove it"
    cls = resource_scope(statement).kind
    classes = (
        words.ontology.subclasses(cls) if cls is not None and cls in words.ontology.classes else tuple(words.attributes)
    )
    every = {name for other in classes for name in words.attributes[other]}
    for word in sorted(read.resource - every):
        yield f"{cls or 'no class'} has {'no' if cls else 'a'} property `{word}`{_near(word, every)}"
    named = actions(statement)
    contexts = [CONTEXTS[action] for action in (ACTIONS if named is None else sorted(named & set(ACTIONS)))]
    known = {name for context in contexts for name in context}
    for word in sorted(read.context - known if contexts else ()):
        yield f"the context has no `{word}` for {', '.join(sorted(named or ACTIONS))}{_near(word, known)}"


def _functions(statement: Mapping[str, Json]) -> Iterator[str]:
    stack: list[Any] = [condition["body"] for condition in statement["conditions"]]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield from (key for key, value in node.items() if isinstance(value, list))
            stack.extend(value for key, value in node.items() if key != "Value")
        elif isinstance(node, list):
            stack.extend(node)


def _near(word: str, words: Any) -> str:
    near = get_close_matches(word, sorted(words), 1)
    return f"; did you mean `{near[0]}`?" if near else ""


def _hint(problem: str, words: Vocabulary) -> str:
    quoted = problem.split("`")
    if len(quoted) < 2:
        return "; compare it with the ontology"
    if problem.startswith("unrecognized action"):
        return (
            _near(quoted[1].removeprefix('Action::"').removesuffix('"'), ACTIONS) or f"; known are {', '.join(ACTIONS)}"
        )
    if problem.startswith("unrecognized entity type"):
        return (
            _near(quoted[1], {*words.ontology.classes, *KINDS, *_GROUPS, LABEL})
            or "; declare the class in the ontology"
        )
    if problem.startswith("unable to guarantee safety"):
        variable = "context" if " in context for " in problem else "resource"
        return f"; ask first: `{variable} has {quoted[1]} && …`"
    every = {name for names in words.attributes.values() for name in names}
    return _near(quoted[1], every)
