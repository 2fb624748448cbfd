"""Keywords of JSON Schema whose cost the vendor's checker does not bound: patterns, references that multiply, items that are alike.

Invariant: what these do takes time linear in schema and value, or ends in an error, so no schema and no value holds a worker. A
pattern is of Rust's regular expressions, which know no look-around and no back-references. Everything else is the vendor's.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final

from kg.values import Json

#: References that one check follows.
FOLLOWED_MAX: Final = 100_000
#: Items that the vendor compares each with each.
ALIKE_MAX: Final = 200
_LEFT: ContextVar[list[int] | None] = ContextVar("references left", default=None)

Keyword = Callable[[Any, Any, Any, Mapping[str, Any]], Iterator[Any] | None]


@contextmanager
def bounded() -> Iterator[None]:
    """Bound the references that are followed inside."""
    token = _LEFT.set([FOLLOWED_MAX])
    try:
        yield
    finally:
        _LEFT.reset(token)


def keywords(usual: Mapping[str, Any]) -> dict[str, Keyword]:
    """The keywords to put in the place of the vendor's."""
    made: dict[str, Keyword] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional,
        "uniqueItems": _unique(usual["uniqueItems"]),
    }
    made |= {name: _counted(usual[name]) for name in ("$ref", "$dynamicRef", "$recursiveRef") if name in usual}
    return made


@lru_cache(maxsize=256)
def linear(pattern: str) -> Callable[[Any], bool]:
    """Whether a text has the pattern somewhere, in time linear in the text; ValueError where the pattern is none."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern)).isinstance_python
    except SchemaError as error:
        raise ValueError(
            f"the pattern {pattern[:80]!r} cannot be used: {' '.join(str(error).split())[-120:]}"
        ) from None


def _error(message: str) -> Any:
    from jsonschema import ValidationError

    return ValidationError(message)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    del schema
    if validator.is_type(instance, "string") and not linear(pattern)(instance):
        yield _error(f"{instance[:100]!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Mapping[str, Any]
) -> Iterator[Any]:
    del schema
    for name, value in instance.items() if validator.is_type(instance, "object") else ():
        for pattern, inner in patterns.items():
            if linear(pattern)(name):
                yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional(validator: Any, inner: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if not validator.is_type(instance, "object"):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    more = [name for name in instance if name not in known and not any(linear(one)(name) for one in patterns)]
    if validator.is_type(inner, "object"):
        for name in more:
            yield from validator.descend(instance[name], inner, path=name)
    elif inner is False and more:
        named = ", ".join(repr(name[:40]) for name in more[:3])
        yield _error(
            f"Additional properties are not allowed ({named} {'was' if len(more) == 1 else 'were'} unexpected)"
        )


def _unique(usual: Keyword) -> Keyword:
    def check(validator: Any, wanted: bool, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        if not wanted or not validator.is_type(instance, "array") or len(instance) <= ALIKE_MAX:
            yield from usual(validator, wanted, instance, schema) or ()
        elif len({json.dumps(_even(item), sort_keys=True) for item in instance}) < len(instance):
            yield _error("the list has items that are alike")

    return check


def _even(value: Json) -> Json:
    """A value whose whole numbers are written one way."""
    if isinstance(value, dict):
        return {name: _even(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_even(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _counted(usual: Keyword) -> Keyword:
    def check(validator: Any, reference: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        left = _LEFT.get()
        if left is not None:
            left[0] -= 1
            if left[0] < 0:
                raise ValueError(f"it follows more than {FOLLOWED_MAX:,} references; flatten it")
        yield from usual(validator, reference, instance, schema) or ()

    return check
