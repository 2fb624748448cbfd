"""Makes the Pydantic model of a class: strict, closed, on the Python values of kg.values.

Invariant: a model accepts exactly the values of the property's scalar type that meet its constraints. Patterns run on
Pydantic's own regular expressions, which take linear time, so that no pattern can hang a write.
"""

import keyword
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, InstanceOf, create_model
from pydantic_core import PydanticCustomError

from kg.ontology.classes import Class, Constraints, Property
from kg.values import Money, Ref, plain

_CONFIG = ConfigDict(strict=True, extra="forbid", frozen=True, protected_namespaces=())
_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "decimal": Decimal,
    "boolean": bool,
    "date": date,
    "instant": AwareDatetime,
    "duration": timedelta,
    "money": InstanceOf[Money],
    "reference": InstanceOf[Ref],
}


def field_name(name: str) -> str:
    """The attribute of a property on its model: its own name, with an underscore behind where Pydantic or Python has it."""
    return name + "_" if keyword.iskeyword(name) or hasattr(BaseModel, name) else name


def model(cls: Class) -> type[BaseModel]:
    """The model of a class; properties whose name Python keeps are reached by `field_name` and validated by their own."""
    fields: dict[str, Any] = {}
    for name, prop in cls.properties.items():
        kind = _field(prop)
        attribute = field_name(name)
        options: dict[str, Any] = {"alias": name} if attribute != name else {}
        if prop.comment:
            options["description"] = prop.comment
        if prop.required:
            fields[attribute] = (kind, Field(**options))
        else:
            fields[attribute] = (kind, Field(default=None, **options))
    return create_model(cls.name, __config__=_CONFIG, __doc__=cls.comment or None, **fields)


def _field(prop: Property) -> Any:
    limits = prop.constraints
    item = _value(prop.type, limits)
    if not prop.many:
        return item
    options: dict[str, Any] = {"min_length": limits.min_count, "max_length": limits.max_count}
    listed: Any = tuple.__class_getitem__((item, ...))
    return Annotated[listed, Field(**{k: v for k, v in options.items() if v})]


def _value(kind: str, limits: Constraints) -> Any:
    options: dict[str, Any] = {
        "min_length": limits.min_length,
        "max_length": limits.max_length,
        "pattern": limits.pattern,
    }
    checks: list[Any] = []
    if kind == "money":
        # What is no number can be compared with nothing, nor be looked for in a set.
        checks += [AfterValidator(check) for check in (_finite, *_money_bounds(limits))]
    else:
        options |= {"ge": limits.at_least, "le": limits.at_most, "gt": limits.above, "lt": limits.below}
    if limits.one_of:
        checks.append(AfterValidator(_one_of(limits.one_of)))
    options = {key: value for key, value in options.items() if value is not None}
    if options:
        checks.insert(0, Field(**options))
    made = _TYPES[kind]
    for check in checks:
        made = Annotated[made, check]
    return made


def _one_of(allowed: tuple[Any, ...]) -> Callable[[Any], Any]:
    wanted = frozenset(allowed)
    shown = ", ".join(str(item) for item in allowed[:20]) + (" …" if len(allowed) > 20 else "")

    def check(value: Any) -> Any:
        if value not in wanted:
            raise PydanticCustomError("one_of", "should be one of {choices}", {"choices": shown})
        return value

    return check


def _finite(value: Money) -> Money:
    if not value.amount.is_finite():
        raise PydanticCustomError("finite_number", "should be a finite amount")
    return value


def _money_bounds(limits: Constraints) -> list[Callable[[Any], Any]]:
    rows: list[tuple[Any, str, Callable[[Any, Any], bool]]] = [
        (limits.at_least, "at least", lambda amount, bound: amount >= bound),
        (limits.at_most, "at most", lambda amount, bound: amount <= bound),
        (limits.above, "greater than", lambda amount, bound: amount > bound),
        (limits.below, "less than", lambda amount, bound: amount < bound),
    ]

    def made(bound: Decimal, words: str, holds: Callable[[Any, Any], bool]) -> Callable[[Any], Any]:
        def check(value: Money) -> Money:
            if not holds(value.amount, bound):
                raise PydanticCustomError(
                    "money_bound", "should be {words} {bound}", {"words": words, "bound": plain(bound)}
                )
            return value

        return check

    return [made(bound, words, holds) for bound, words, holds in rows if bound is not None]
