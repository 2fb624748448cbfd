"""Turns a request into encoded texts before any lock is taken: what every adapter needs to plan a commit.

Invariant: nothing here reads a store, so the work done under the write lock stays small. `Prepared.text` holds everything
that makes two commits of one cause id the same (writes and cause, not state).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring as quote
from typing import Final

from kg.errors import InputError, ShapeError, ValueDomainError
from kg.leaf import cause_text, optional
from kg.model import Cause, Close, Link, Put, StateWrite, Write
from kg.store import WRITES_MAX, Request
from kg.values import Json, canonical, encode_properties, instant

#: Characters in an id, a class name, a relation name, a cause's agent.
NAME_MAX: Final = 1_000
#: Characters in a cause's reason and in its attributes, each.
CAUSE_TEXT_MAX: Final = 1_000_000
#: Names of properties, classes and relations that are remembered as good; an ontology has fewer.
WORDS_MAX: Final = 4_096


@dataclass(slots=True)
class Prepared:
    """A request with its encoded writes (aligned; empty for Close and Unlink) and all keys that planning must look up.

    `texts` are the canonical texts of `encoded`.
    """

    request: Request
    cause: Cause | None
    encoded: list[dict[str, Json]]
    texts: list[str]
    text: str = ""
    cause_text: str = ""
    attributes: str = "{}"
    state: list[str | None] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    triples: set[tuple[str, str, str]] = field(default_factory=set)


def prepare(request: Request) -> Prepared:
    """Encode a request; raises ShapeError, ValueDomainError or InputError where it cannot be stored."""
    if len(request.writes) > WRITES_MAX:
        raise InputError(f"{len(request.writes):,} writes exceed {WRITES_MAX:,} in one commit; split them")
    # INVARIANT I1: no write without a Cause.
    if request.cause is None and request.writes:
        raise ShapeError("a commit with writes needs a cause; name who writes and why")
    prepared = Prepared(request, request.cause, [], [])
    try:
        forms = [_write(write, prepared) for write in request.writes]
        if request.cause is not None:
            _cause(request.cause, forms, prepared)
        prepared.ids.update(request.expects)
        prepared.state = [_state(row) for row in request.state]
    except UnicodeEncodeError:
        raise ValueDomainError("a text holds a broken character (lone surrogate); repair its encoding") from None
    return prepared


def _name(text: str, what: str) -> str:
    if not text or len(text) > NAME_MAX or "\x00" in text:
        raise ValueDomainError(f"{what} {text[:40]!r} must have 1 to {NAME_MAX:,} characters and no NUL")
    if not text.isascii():
        text.encode()
    return text


@lru_cache(WORDS_MAX)
def _word(text: str, what: str) -> str:
    """The same of what comes again and again."""
    return _name(text, what)


def _time(value: datetime | None) -> str | None:
    return None if value is None else instant(value)


def _properties(properties: Mapping[str, object], prepared: Prepared) -> str:
    """Note the encoded properties of a write; their canonical text."""
    encoded = encode_properties(properties)  # type: ignore[arg-type]
    for name in encoded:
        _word(name, "property")
    text = canonical(encoded)
    prepared.encoded.append(encoded)
    prepared.texts.append(text)
    return text


def _write(write: Write, prepared: Prepared) -> str:
    """The canonical text of a write for the digest; notes on the way what planning must look up."""
    if isinstance(write, Put):
        prepared.ids.add(_name(write.id, "id"))
        _word(write.cls, "class")
        set_, unset = _properties(write.set, prepared), canonical(sorted(write.unset)) if write.unset else "[]"
        valid = f"{optional(_time(write.valid_from))},{optional(_time(write.valid_to))}"
        head = f'["put",{quote(write.id)},{quote(write.cls)},{set_},{unset}'
        return f"{head},{_origin(write.origin)},{valid},{_flag(write.replace)}]"
    if isinstance(write, Close):
        _properties({}, prepared)
        prepared.ids.add(_name(write.id, "id"))
        return f'["close",{quote(write.id)},{_origin(write.origin)}]'
    prepared.ids.add(_name(write.source, "id"))
    _word(write.relation, "relation")
    if isinstance(write, Link):
        properties = _properties(write.properties, prepared)
        prepared.ids.add(_name(write.target, "id"))
        _look_up(prepared, write.source, write.relation, None if write.exclusive else write.target)
        ends = f"{quote(write.source)},{quote(write.relation)},{quote(write.target)}"
        return f'["link",{ends},{properties},{_flag(write.exclusive)}]'
    _properties({}, prepared)
    _look_up(prepared, write.source, write.relation, write.target)
    return f'["unlink",{quote(write.source)},{quote(write.relation)},{optional(write.target)}]'


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _origin(origin: str | None) -> str:
    return optional(None if origin is None else _name(origin, "origin"))


def _look_up(prepared: Prepared, source: str, relation: str, target: str | None) -> None:
    if target is None:
        prepared.pairs.add((source, relation))
    else:
        prepared.triples.add((source, relation, _name(target, "id")))


def _json(value: Json, what: str) -> str:
    try:
        text = canonical(value)
    except (TypeError, ValueError, RecursionError):
        raise ValueDomainError(f"{what} is not plain JSON; give texts, numbers, lists and objects only") from None
    text.encode()
    return text


def _cause(cause: Cause, forms: Sequence[str], prepared: Prepared) -> None:
    for text, what in ((cause.id, "cause id"), (cause.activity, "activity"), (cause.agent, "agent")):
        _name(text, what)
    prepared.attributes = _json(dict(cause.attributes), "the attributes of the cause")
    if max(len(cause.reason), len(prepared.attributes)) > CAUSE_TEXT_MAX or "\x00" in cause.reason:
        raise ValueDomainError(
            f"reason and attributes of a cause hold at most {CAUSE_TEXT_MAX:,} characters and no NUL"
        )
    if any(type(used.version) is not int for used in cause.inputs):
        raise ValueDomainError("the version of a cause's input must be a whole number")
    inputs = [(_name(used.id, "id"), used.version) for used in cause.inputs]
    prepared.cause_text = cause_text(
        cause.id, cause.activity, cause.agent, cause.reason, cause.on_behalf_of, inputs, prepared.attributes
    )
    prepared.text = f"[{prepared.cause_text},[{','.join(forms)}]]"
    prepared.text.encode()


def _state(row: StateWrite) -> str | None:
    _name(row.kind, "state kind")
    _name(row.key, "state key")
    if row.due is not None and type(row.due) is not int:
        raise ValueDomainError(f"due of state {row.kind}/{row.key} must be whole microseconds since 1970")
    return None if row.value is None else _json(row.value, f"the value of state {row.kind}/{row.key}")
