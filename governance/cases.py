"""Cases of rules (`noesis rules test`): requests with the outcome that the author expects, run against a RuleBook.

Invariant: running cases writes nothing. The file is YAML, a list of cases:
``{name, principal: {kind, id, roles, departments, break_glass?}, action, resource: {class, id, properties}, context, expect,
rule?}``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from governance.decide import decide
from governance.errors import CaseError
from governance.principals import KINDS, NAME_MAX, Principal
from governance.rulebook import LABEL, RuleBook
from governance.schema import CONTEXTS
from governance.verdict import ACTIONS, STRICTNESS, Request, Resource, Verdict
from governance.yamlfile import Document, Item
from kg.ontology import Ontology
from kg.values import STRING_MAX, Money, Ref, Value

CASES_MAX: Final = 10_000
_FIELDS: Final = frozenset({"name", "principal", "action", "resource", "context", "expect", "rule"})


@dataclass(frozen=True, slots=True)
class Case:
    """One request and what is expected of it; `rule` must be among the determining rules, where it is given."""

    name: str
    request: Request
    expect: str
    rule: str | None
    line: int


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of a case."""

    case: Case
    verdict: Verdict
    passed: bool
    determining: tuple[str, ...]


def run_cases(cases: tuple[Case, ...], rules: RuleBook) -> tuple[CaseResult, ...]:
    """Decide every case and compare it with what was expected."""
    results = []
    for case in cases:
        verdict = decide(case.request, rules)
        names = rules.labels([id for id, _ in verdict.rules])
        passed = verdict.outcome == case.expect and (case.rule is None or case.rule in names)
        results.append(CaseResult(case, verdict, passed, names))
    return tuple(results)


def read_cases(text: str, ontology: Ontology, name: str = "cases.yaml") -> tuple[Case, ...]:
    """The cases in a YAML text; CaseError names file and line."""
    document = Document(text, name, CaseError)
    cases = tuple(_case(document, item, ontology) for item in document.items(document.root, "the file"))
    if len(cases) > CASES_MAX:
        raise CaseError(f"{name}: more than {CASES_MAX:,} cases; split the file")
    return cases


def _case(document: Document, item: Item, ontology: Ontology) -> Case:
    fields = document.fields(item, _FIELDS, "a case", frozenset({"principal", "action", "resource", "expect"}))
    name = document.text(fields["name"], "a name", NAME_MAX) if "name" in fields else f"line {item.line}"
    action = _one_of(document, fields["action"], ACTIONS, "action")
    # Whether glass is broken is the principal's to say, as in a real request.
    contexts = {key: _context_type(form) for key, form in CONTEXTS[action].items() if key != "breakGlass"}
    context = _values(document, fields.get("context"), contexts, f"the context of {action}")
    request = Request(
        _principal(document, fields["principal"]), action, _resource(document, fields["resource"], ontology), context
    )
    rule = document.text(fields["rule"], "rule", NAME_MAX) if "rule" in fields else None
    return Case(name, request, _one_of(document, fields["expect"], STRICTNESS, "expect"), rule, item.line)


def _one_of(document: Document, item: Item, known: tuple[str, ...], what: str) -> str:
    if item.value not in known:
        raise document.error(item.line, f"{what} must be one of {', '.join(known)}")
    return str(item.value)


def _principal(document: Document, item: Item) -> Principal:
    fields = document.fields(
        item,
        frozenset({"kind", "id", "roles", "departments", "on_behalf_of", "break_glass"}),
        "a principal",
        frozenset({"kind", "id"}),
    )
    groups = [
        frozenset(
            document.text(entry, f"one of {field}", NAME_MAX) for entry in document.items(fields.get(field), field)
        )
        for field in ("roles", "departments")
    ]
    behalf = _principal(document, fields["on_behalf_of"]) if "on_behalf_of" in fields else None
    kind = _one_of(document, fields["kind"], KINDS, "kind")
    glass = "break_glass" in fields and _scalar(document, fields["break_glass"], "boolean", "break_glass")
    name = document.text(fields["id"], "id", NAME_MAX)
    return Principal(kind, name, groups[0], groups[1], behalf, break_glass="case" if glass else "")


def _resource(document: Document, item: Item, ontology: Ontology) -> Resource:
    fields = document.fields(item, frozenset({"class", "id", "properties"}), "a resource", frozenset({"class"}))
    cls = document.text(fields["class"], "class", NAME_MAX)
    found = ontology.classes.get(cls)
    if found is None and cls != LABEL:
        raise document.error(fields["class"].line, f"class {cls!r} is not in the ontology")
    types = {} if found is None else {name: (prop.type, prop.many) for name, prop in found.properties.items()}
    id = document.text(fields["id"], "id", NAME_MAX) if "id" in fields else "case"
    return Resource(cls, id, _values(document, fields.get("properties"), types, cls))


def _context_type(form: Mapping[str, Any]) -> tuple[str, bool]:
    names = {"String": "string", "Long": "integer", "Extension": "decimal", "Set": "string"}
    return names[form["type"]], form["type"] == "Set"


def _values(
    document: Document, item: Item | None, types: Mapping[str, tuple[str, bool]], what: str
) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, entry in document.fields(item, frozenset(types), what).items() if item is not None else ():
        type_, many = types[name]
        if many:
            values[name] = tuple(_scalar(document, inner, type_, name) for inner in document.items(entry, name))
        else:
            values[name] = _scalar(document, entry, type_, name)
    return values


def _money(text: str) -> Money:
    amount, _, currency = text.partition(" ")
    return Money(Decimal(amount), currency)


def _instant(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError("no time zone")
    return value


#: How each scalar type is written in a case.
_READERS: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "string": (str, "a text"),
    "integer": (int, "a whole number"),
    "decimal": (Decimal, "a decimal number"),
    "date": (date.fromisoformat, "a date such as 2026-01-31"),
    "instant": (_instant, "an instant with time zone such as 2026-01-31T09:00:00Z"),
    "duration": (lambda text: timedelta(seconds=int(text)), "a whole number of seconds"),
    "money": (_money, 'an amount such as "12.50 EUR"'),
    "reference": (Ref, "an id"),
}


def _scalar(document: Document, item: Item, type_: str, name: str) -> Any:
    if type_ == "boolean":
        if not isinstance(item.value, bool):
            raise document.error(item.line, f"{name} must be true or false")
        return item.value
    read, what = _READERS[type_]
    try:
        return read(document.text(item, name, STRING_MAX))
    except (ValueError, InvalidOperation):
        raise document.error(item.line, f"{name} must be {what}") from None
