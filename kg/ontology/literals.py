"""Turns RDF literals into the Python values of kg.values, and reads the typed arguments of annotations and constraints."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from rdflib import Literal

from kg.errors import ValueDomainError
from kg.ontology.turtle import Document, name
from kg.ontology.vocabulary import XSD, short
from kg.values import Ref, Scalar, encode


def flag(document: Document, subject: Any, predicate: str) -> bool | None:
    """A true or false annotation, None where absent."""
    node = document.one(subject, predicate)
    if node is None:
        return None
    if isinstance(node, Literal) and isinstance(node.value, bool):
        return node.value
    raise document.error(f"{short(predicate)} must be true or false, not {name(node)!r}", subject, predicate, node)


def word(document: Document, subject: Any, predicate: str) -> str | None:
    """A text annotation, None where absent."""
    node = document.one(subject, predicate)
    if node is None:
        return None
    if isinstance(node, Literal) and str(node).strip():
        return str(node).strip()
    raise document.error(f"{short(predicate)} must be a text, not {name(node)!r}", subject, predicate, node)


def whole(document: Document, subject: Any, predicate: str) -> int | None:
    """A count of 0 or more, None where absent."""
    node = document.one(subject, predicate)
    if node is None:
        return None
    value = node.value if isinstance(node, Literal) else None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise document.error(f"{short(predicate)} must be a whole number, not {name(node)!r}", subject, predicate, node)


def scalar(document: Document, subject: Any, predicate: str, node: Any, kind: str) -> Scalar:
    """A literal as a value of the scalar type; a bound or a choice of money is a plain decimal amount."""
    try:
        value = _convert(node, kind)
        encode(value)
    except (ValueError, KeyError, InvalidOperation, OverflowError, ValueDomainError, TypeError):
        wanted = "decimal" if kind == "money" else kind
        raise document.error(
            f"{short(predicate)} {str(node)!r} is no {wanted}; write a literal of the property's datatype",
            subject,
            predicate,
            node,
        ) from None
    return value


def _convert(node: Any, kind: str) -> Scalar:
    text = str(node).strip()
    if kind == "reference":
        return Ref(text)
    if not isinstance(node, Literal):
        raise TypeError
    return str(node) if kind == "string" else _READERS[kind](text)


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment


def _duration(text: str) -> timedelta:
    value = Literal(text, datatype=XSD + "dayTimeDuration").value
    if isinstance(value, timedelta):
        return value
    raise TypeError


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_READERS: dict[str, Callable[[str], Scalar]] = {
    "boolean": lambda text: _BOOLEANS[text],
    "integer": int,
    "decimal": Decimal,
    "money": Decimal,
    "date": date.fromisoformat,
    "instant": _instant,
    "duration": _duration,
}
