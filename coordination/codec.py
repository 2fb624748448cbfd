"""Writes as canonical JSON text and back, so that a proposal carries exactly what will be committed when it is applied.

Invariant: `writes_of(text_of(writes)) == writes`. Knows the four writes of `kg.model`, nothing of what they mean.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from kg import clock
from kg.model import Close, Link, Put, Unlink, Write
from kg.values import Json, canonical, decode, decode_properties, encode, encode_properties


def derive(*parts: object) -> str:
    """An opaque id that follows from its parts: the same parts give the same 26 characters."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:16]
    return clock.text_of(digest)


def text_of(writes: Sequence[Write]) -> str:
    """The canonical text of writes; raises ValueDomainError for a value outside the table of scalar types."""
    return canonical([form_of(write) for write in writes])


def writes_of(text: str) -> tuple[Write, ...]:
    """The writes of a canonical text."""
    return tuple(_write(form) for form in json.loads(text))


def form_of(write: Write) -> Json:
    """The JSON form of one write, without members that hold their default."""
    if isinstance(write, Put):
        return _present(
            put=write.id,
            cls=write.cls,
            set=encode_properties(write.set),
            unset=sorted(write.unset),
            origin=write.origin,
            valid_from=_instant(write.valid_from),
            valid_to=_instant(write.valid_to),
            replace=write.replace,
        )
    if isinstance(write, Close):
        return _present(close=write.id, origin=write.origin)
    if isinstance(write, Link):
        return _present(
            link=write.source,
            relation=write.relation,
            target=write.target,
            set=encode_properties(write.properties),
            exclusive=write.exclusive,
        )
    return _present(unlink=write.source, relation=write.relation, target=write.target)


def _present(**members: Json) -> dict[str, Json]:
    return {name: value for name, value in members.items() if value not in (None, False, [], {})}


def _instant(moment: datetime | None) -> Json:
    return None if moment is None else encode(moment)


def _moment(form: Json) -> datetime | None:
    return None if form is None else cast(datetime, decode(form))


def _write(form: Json) -> Write:
    if "put" in form:
        return Put(
            form["put"],
            form["cls"],
            decode_properties(form.get("set", {})),
            frozenset(form.get("unset", ())),
            form.get("origin"),
            _moment(form.get("valid_from")),
            _moment(form.get("valid_to")),
            bool(form.get("replace", False)),
        )
    if "close" in form:
        return Close(form["close"], form.get("origin"))
    if "link" in form:
        return Link(
            form["link"],
            form["relation"],
            form["target"],
            decode_properties(form.get("set", {})),
            bool(form.get("exclusive", False)),
        )
    return Unlink(form["unlink"], form["relation"], form.get("target"))
