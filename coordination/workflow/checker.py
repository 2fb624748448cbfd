"""Holds a value against a shape: says what does not fit, and hands out every text that takes part in evaluation on the way.

Invariant: the check ends for every value that `source` lets through and never raises; the value is only read.
Knows the kinds of shape, not the workflow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import Any

from coordination.workflow.problems import Findings
from coordination.workflow.shapes import (
    Anything,
    ByKey,
    ByValue,
    Either,
    Flag,
    Lifetime,
    Listed,
    Mapped,
    Matching,
    Record,
    Shape,
    Text,
    Use,
    Whole,
)
from coordination.workflow.source import pointer
from kg.values import Json


@dataclass(frozen=True, slots=True)
class Site:
    """A text of the document and the shape that let it in."""

    pointer: str
    text: str
    shape: Text | Anything

    @property
    def kind(self) -> str:
        """What the text names or says; empty where it is any text."""
        return self.shape.kind


@dataclass(slots=True)
class Checker:
    """One check: what it found wrong, the texts it passed and the marked records with their pointers."""

    shapes: Mapping[str, Shape]
    findings: Findings = field(default_factory=Findings)
    sites: list[Site] = field(default_factory=list)
    marked: list[tuple[str, Json]] = field(default_factory=list)

    def check(self, shape: Shape, value: Json, at: str) -> bool:
        """Whether the value fits; what does not is among the findings."""
        rule: Callable[[Any, Json, str], bool] = partial(_RULES[type(shape)], self)
        return rule(shape, value, at)

    def wrong(self, at: str, message: str) -> bool:
        """Note a problem."""
        self.findings.add(at, message)
        return False

    def unlike(self, shape: Any, value: Json, at: str) -> bool:
        """Note that the value is of another kind."""
        return self.wrong(at, f"{_named(at)} must be {shape.is_}, not {_kind(value)}; change it")


def _named(at: str) -> str:
    last = at.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    return f"`{last[:80]}`" if last else "the workflow"


def _kind(value: Json) -> str:
    for kind, words in _KINDS:
        if isinstance(value, kind):
            return words
    return "nothing"


_KINDS: tuple[tuple[Any, str], ...] = (
    (bool, "true or false"),
    (int | float, "a number"),
    (str, "this text"),
    (list, "a list"),
    (dict, "a mapping"),
)


def _text(check: Checker, shape: Text, value: Json, at: str) -> bool:
    if not isinstance(value, str):
        hint = f'; write "{value}" in quotes' if isinstance(value, int | float) and not isinstance(value, bool) else ""
        return (
            check.unlike(shape, value, at)
            if not hint
            else check.wrong(at, f"{_named(at)} must be {shape.is_}, not {_kind(value)}{hint}")
        )
    if shape.choices and value not in shape.choices:
        near = get_close_matches(value, shape.choices, 1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(shape.choices)}"
        return check.wrong(at, f"{_named(at)} cannot be {value[:80]!r}; {hint}")
    if (shape.pattern is not None and not shape.pattern.match(value)) or (shape.filled and not value):
        return check.wrong(at, f"{_named(at)} must be {shape.is_}, not {value[:80]!r}; change it")
    check.sites.append(Site(at, value, shape))
    return True


def _whole(check: Checker, shape: Whole, value: Json, at: str) -> bool:
    # JSON Schema counts 5.0 as a whole number.
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
        return check.unlike(shape, value, at)
    if (shape.least is not None and value < shape.least) or (shape.most is not None and value > shape.most):
        return check.wrong(at, f"{_named(at)} must be between {shape.least} and {shape.most}; change it")
    return True


def _flag(check: Checker, shape: Flag, value: Json, at: str) -> bool:
    return isinstance(value, bool) or check.unlike(shape, value, at)


def _anything(check: Checker, shape: Anything, value: Json, at: str) -> bool:
    if shape.reading == "literal":
        return True
    if isinstance(value, str):
        check.sites.append(Site(at, value, shape))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _anything(check, shape, item, pointer(at, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            _anything(check, shape, item, pointer(at, name))
    return True


def _listed(check: Checker, shape: Listed, value: Json, at: str) -> bool:
    if not isinstance(value, list):
        return check.unlike(shape, value, at)
    fits = len(value) >= shape.least or check.wrong(at, f"{_named(at)} is empty; write at least {shape.least}")
    for index, item in enumerate(value):
        fits = check.check(shape.item, item, pointer(at, index)) and fits
    return fits


def _mapped(check: Checker, shape: Mapped, value: Json, at: str) -> bool:
    if not isinstance(value, dict):
        return check.unlike(shape, value, at)
    fits = True
    if shape.single and len(value) != 1:
        names = ", ".join(str(name)[:40] for name in list(value)[:4])
        hint = f"it holds {names}; begin each with a hyphen, and mind the indentation" if value else "write a name"
        fits = check.wrong(at, f"an item of this list holds exactly one name; {hint}")
    elif len(value) < shape.least:
        fits = check.wrong(at, f"{_named(at)} is empty; write at least {shape.least}")
    for name, item in value.items():
        fits = check.check(shape.value, item, pointer(at, name)) and fits
    return fits


def _record(check: Checker, shape: Record, value: Json, at: str) -> bool:
    if not isinstance(value, dict):
        return check.unlike(shape, value, at)
    if shape.marked:
        check.marked.append((at, value))
    fits = len(value) >= shape.least or check.wrong(
        at, f"{_named(at)} is empty; write at least one of {', '.join(shape.fields)}"
    )
    for name, item in value.items():
        if name in shape.fields:
            fits = check.check(shape.fields[name], item, pointer(at, name)) and fits
        elif shape.rest is not None:
            fits = check.check(shape.rest, item, pointer(at, name)) and fits
        else:
            near = get_close_matches(name, shape.fields, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"use one of {', '.join(shape.fields)}"
            fits = check.wrong(pointer(at, name), f"unknown field `{name[:80]}` of a {shape.name}; {hint}")
    return _complete(check, shape, value, at) and fits


def _complete(check: Checker, shape: Record, value: Mapping[str, Json], at: str) -> bool:
    fits = True
    for name in shape.required:
        if name not in value:
            fits = check.wrong(at, f"the {shape.name} has no `{name}`; add it")
    for group in shape.exactly_one:
        held = [name for name in group if name in value]
        if len(held) != 1:
            said = f"has {' and '.join(held)}; keep one" if held else f"needs one of {', '.join(group)}; add one"
            fits = check.wrong(at, f"the {shape.name} {said}")
    for name, other in shape.together:
        if name in value and other not in value:
            reason = f"`{name}` means nothing without `{other}`; remove it or add `{other}`"
            fits = check.wrong(pointer(at, name), reason)
    return fits


def _matching(check: Checker, shape: Matching, value: Json, at: str) -> bool:
    if not isinstance(value, dict):
        return check.unlike(shape, value, at)
    held = [name for name in shape.fields if name in value]
    tries = {name: Checker(check.shapes) for name in held}
    fitting = [name for name in held if tries[name].check(shape.fields[name], value[name], pointer(at, name))]
    if len(fitting) == 1:
        check.sites.extend(tries[fitting[0]].sites)
        check.marked.extend(tries[fitting[0]].marked)
        return True
    if not held or fitting:
        said = (
            f"has {' and '.join(fitting)}; keep one" if fitting else f"needs one of {', '.join(shape.fields)}; add one"
        )
        return check.wrong(at, f"the {shape.name} {said}")
    for name in held:
        for finding in tries[name].findings.found:
            check.findings.add(finding.pointer, finding.message)
    return False


def _either(check: Checker, shape: Either, value: Json, at: str) -> bool:
    for option in shape.options:
        if isinstance(value, _python(check, option)):
            return check.check(option, value, at)
    return check.unlike(shape, value, at)


def _python(check: Checker, shape: Shape) -> type:
    if isinstance(shape, Use):
        return _python(check, check.shapes[shape.name])
    return str if isinstance(shape, Text) else list if isinstance(shape, Listed) else dict


def _by_value(check: Checker, shape: ByValue, value: Json, at: str) -> bool:
    if not isinstance(value, dict):
        return check.unlike(shape, value, at)
    said = value.get(shape.field)
    chosen = shape.options.get(said, shape.otherwise) if isinstance(said, str) else shape.otherwise
    return check.check(chosen, value, at)


def _by_key(check: Checker, shape: ByKey, value: Json, at: str) -> bool:
    if not isinstance(value, dict):
        return check.unlike(shape, value, at)
    for key, option in shape.options.items():
        if key in value:
            return check.check(option, value, at)
    if shape.otherwise is not None:
        return check.check(shape.otherwise, value, at)
    near = next((close[0] for name in value if (close := get_close_matches(name, shape.options, 1))), None)
    hint = f"did you mean `{near}`?" if near else f"add one of {', '.join(shape.options)}"
    return check.wrong(at, f"{_named(at)} does not say what to do; {hint}")


def _lifetime(check: Checker, shape: Lifetime, value: Json, at: str) -> bool:
    fits = check.check(shape.record, value, at)
    if fits and isinstance(value, dict) and (value.get("cleanup") == "eventually") != ("after" in value):
        fits = check.wrong(at, "`after` and `cleanup: eventually` go together; add the one or remove the other")
    return fits


def _use(check: Checker, shape: Use, value: Json, at: str) -> bool:
    return check.check(check.shapes[shape.name], value, at)


_RULES: Mapping[type, Callable[..., bool]] = {
    Text: _text,
    Whole: _whole,
    Flag: _flag,
    Anything: _anything,
    Listed: _listed,
    Mapped: _mapped,
    Record: _record,
    Matching: _matching,
    Either: _either,
    ByValue: _by_value,
    ByKey: _by_key,
    Lifetime: _lifetime,
    Use: _use,
}
