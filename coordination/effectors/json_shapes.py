"""JSON shapes: whether a value fits the part of JSON Schema that API descriptions are made of.

Invariant: what it refuses does not fit; it knows types, required, properties, items, enum, bounds, pattern-free formats and
composition, and lets a keyword that it does not know pass. References lead into the same document only.
"""

from collections.abc import Mapping
from typing import Any, Final

from coordination.errors import GiveUp
from kg.values import Json

#: How deep a value or a chain of references is followed.
DEPTH_MAX: Final = 32
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (Mapping,),
    "null": (type(None),),
}


def referred(document: Mapping[str, Any], node: Any) -> Mapping[str, Any]:
    """The node, or what its ``$ref`` points to in the document; GiveUp where that is nothing."""
    for _ in range(DEPTH_MAX):
        reference = node.get("$ref") if isinstance(node, Mapping) else None
        if reference is None:
            break
        if not str(reference).startswith("#/"):
            raise GiveUp(f"the reference {str(reference)[:80]!r} leads out of the document; put it inside")
        node = document
        for part in str(reference)[2:].split("/"):
            node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping) or "$ref" in node:
        raise GiveUp("a reference of the document leads nowhere; correct the document")
    return node


def fault(document: Mapping[str, Any], schema: Any, value: Json, where: str, depth: int = 0) -> str:
    """Why a value does not fit, in one sentence; empty where it does."""
    if depth > DEPTH_MAX:
        return f"{where} is nested deeper than {DEPTH_MAX}; flatten it"
    schema = referred(document, schema)
    if value is None and schema.get("nullable"):
        return ""
    return (
        _type(schema, value, where)
        or _bounds(schema, value, where)
        or _composed(document, schema, value, where, depth)
        or _members(document, schema, value, where, depth)
    )


def _type(schema: Mapping[str, Any], value: Json, where: str) -> str:
    named = schema.get("type")
    names = named if isinstance(named, list) else [named] if named else []
    kinds = tuple(kind for name in names for kind in _TYPES.get(str(name), ()))
    wrong = kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds))
    if wrong:
        return f"{where} is not a {' or '.join(map(str, names))}; correct it"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is none of {', '.join(map(str, schema['enum']))[:200]}; correct it"
    return ""


def _bounds(schema: Mapping[str, Any], value: Json, where: str) -> str:
    if isinstance(value, str | list):
        low, high = ("minLength", "maxLength") if isinstance(value, str) else ("minItems", "maxItems")
        if not schema.get(low, 0) <= len(value) <= schema.get(high, len(value)):
            return f"{where} has {len(value)} characters or items, which does not fit; correct it"
    elif isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return f"{where} is out of range; correct it"
    return ""


def _composed(document: Mapping[str, Any], schema: Mapping[str, Any], value: Json, where: str, depth: int) -> str:
    for part in schema.get("allOf") or ():
        wrong = fault(document, part, value, where, depth + 1)
        if wrong:
            return wrong
    for name in ("anyOf", "oneOf"):
        parts = schema.get(name) or ()
        if parts and all(fault(document, part, value, where, depth + 1) for part in parts):
            return f"{where} fits none of its alternatives; correct it"
    return ""


def _members(document: Mapping[str, Any], schema: Mapping[str, Any], value: Json, where: str, depth: int) -> str:
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            wrong = fault(document, schema["items"], item, f"{where}[{index}]", depth + 1)
            if wrong:
                return wrong
    if isinstance(value, Mapping):
        known = schema.get("properties") or {}
        missing = [name for name in schema.get("required") or () if name not in value]
        if missing:
            return f"{where} lacks {missing[0]!r}; give it"
        for name, item in value.items():
            if name in known:
                wrong = fault(document, known[name], item, f"{where}.{name}", depth + 1)
                if wrong:
                    return wrong
            elif schema.get("additionalProperties") is False:
                return f"{where} may hold no {name[:80]!r}; leave it out"
    return ""
