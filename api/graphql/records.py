"""One record handed in from outside: read by the ontology, found by its key, decided, and written as ingest writes.

Invariants: it is decided as ``apply`` of ``ingest_record`` for the caller, and the decision is committed with what it allows, or
alone where it refuses; classes of the platform are never taken, so nobody hands in a rule or an approval; the same record again
changes nothing (I3), except that it is a new version of the same values where the caller may not read them and would learn it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from graphql import GraphQLError

from api.errors import BadRequestError, ForbiddenError
from api.graphql.entities import property_named
from api.graphql.ids import entity_id
from api.graphql.scalars import PARSERS
from api.graphql.searching import class_named
from api.platform import Noesis
from governance.decide import decide
from governance.decisions import record
from governance.errors import DeniedError
from governance.principals import Principal
from governance.rulebook import RuleBook
from governance.verdict import Request, Resource, Verdict
from kg.clock import Clock
from kg.errors import ConflictError
from kg.ingest.keys import KIND_KEY, KeySpace, key_text
from kg.ingest.unfit import Unfit
from kg.model import ABSENT, Cause, Entity, Input, Put, StateWrite, Write
from kg.ontology.classes import Class, Property
from kg.values import Money, Ref, Scalar, Value

OPERATION: Final = "ingest_record"
#: Tries while others write the same record.
ATTEMPTS_MAX: Final = 3
#: Properties of one record, and characters of its origin.
PROPERTIES_MAX: Final = 500
ORIGIN_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a record: its entity, ``created``, ``updated`` or ``unchanged``, and the last change made."""

    id: str
    outcome: str
    position: int | None = None


def _scalar(prop: Property, given: Any) -> Scalar:
    if prop.type == "money":
        if not isinstance(given, Mapping) or set(given) != {"amount", "currency"}:
            raise GraphQLError('money is written as {"amount": "12.50", "currency": "EUR"}')
        return Money(PARSERS["decimal"](given["amount"]), str(given["currency"]))
    if prop.type == "boolean" and isinstance(given, bool):
        return given
    if prop.type in ("string", "reference") and isinstance(given, str):
        return given if prop.type == "string" else Ref(entity_id(given))
    if prop.type in PARSERS:
        value: Scalar = PARSERS[prop.type](given)
        return value
    raise GraphQLError(f"{type(given).__name__} is no {prop.type}")


def _value(prop: Property, given: Any) -> Value:
    if not prop.many:
        return _scalar(prop, given)
    if not isinstance(given, list):
        raise GraphQLError("it has many values; write a list")
    return tuple(_scalar(prop, item) for item in given)


def read_properties(cls: Class, given: Any) -> tuple[dict[str, Value], frozenset[str]]:
    """The values of a record's JSON, and the properties that its nulls take away."""
    if not isinstance(given, Mapping) or len(given) > PROPERTIES_MAX:
        raise BadRequestError(f"properties is no object of at most {PROPERTIES_MAX} properties; write {{name: value}}")
    values: dict[str, Value] = {}
    gone: set[str] = set()
    for shown, item in given.items():
        name = property_named(cls, str(shown))
        if item is None:
            gone.add(name)
            continue
        try:
            values[name] = _value(cls.properties[name], item)
        except GraphQLError as error:
            raise BadRequestError(f"property {shown}: {error.message}") from None
    return values, frozenset(gone)


def _key(platform: Noesis, cls: Class, values: Mapping[str, Value]) -> str:
    if not cls.key:
        raise BadRequestError(f"class {cls.name} has no key, so its records cannot be told apart; give it n:key")
    texts = []
    for name in cls.key:
        if name not in values:
            raise BadRequestError(f"the key of {cls.name} is {' + '.join(cls.key)}; {name} is missing")
        try:
            texts.append(key_text(values[name]))
        except Unfit as error:
            raise BadRequestError(f"property {name}: {error}") from None
    return KeySpace(platform.ontology, cls.name, cls.key).key(texts)


def take_record(platform: Noesis, principal: Principal, class_name: str, properties: Any, origin: str | None) -> Taken:
    """Write one record as this principal; DeniedError (recorded) where the rules do not allow it."""
    cls = platform.ontology.cls(class_named(platform.ontology, class_name))
    if cls.platform:
        raise ForbiddenError(f"{cls.name} belongs to the platform and is not taken as a record; use its own mutation")
    if origin is not None and not 0 < len(origin) <= ORIGIN_MAX:
        raise BadRequestError(f"origin has 1 to {ORIGIN_MAX} characters; shorten it")
    values, gone = read_properties(cls, properties)
    key = _key(platform, cls, values)
    for _ in range(ATTEMPTS_MAX):
        try:
            return _write(platform, principal, cls, key, Put("", cls.name, values, gone, origin))
        except ConflictError:
            continue
    raise ConflictError("the record met others of the same key at every try; send it again")


def _write(platform: Noesis, principal: Principal, cls: Class, key: str, put: Put) -> Taken:
    store, clock = platform.store, platform.clock
    row = store.state(KIND_KEY, [key]).get(key)
    id = str(row.value["id"]) if row is not None else clock.id()
    present = store.get([id]).get(id)
    put = Put(id, put.cls, put.set, put.unset, put.origin)
    decision = clock.id()
    request, verdict = _decided(principal, present, put, platform.rules())
    facts = () if present is None else (Input(present.id, present.version),)
    writes: tuple[Write, ...] = record(decision, request, verdict, facts=facts)
    behalf = None if principal.on_behalf_of is None else principal.on_behalf_of.uid
    cause = Cause(clock.id(), OPERATION, principal.uid, "handed in through the API", behalf, facts)
    if not verdict.allowed:
        store.commit(writes, cause)
        raise DeniedError(f"{principal.uid} may not hand in this {cls.name}: {verdict.reason}", decision)
    if present is not None and present.cls != cls.name:
        # INVARIANT I10: only after a decision, which is on record, and of what class it is only to whoever sees it.
        store.commit(writes, cause)
        (seen,) = platform.view(principal).see([present])
        owner = "another class" if seen is None else f"a {present.cls}"
        raise BadRequestError(f"this key belongs to {owner}; hand the record in as one")
    hidden = present is not None and _hidden(platform, principal, present, put)
    if hidden:
        # INVARIANT I10: whether it was the same is told to nobody who may not read it, neither by the answer nor by the version
        # or the number of changes: from now on it holds by the caller's word, which is a version even of the same value.
        put = replace(put, valid_from=_later(clock, present))
    elif present is not None and not _changes(present, put):
        return Taken(id, "unchanged")
    state = [] if row is not None else [StateWrite(KIND_KEY, key, {"id": id}, expect=ABSENT)]
    expects = {id: present.version} if present is not None else ({id: 0} if row is None else {})
    commit = store.commit((*writes, put), cause, expects, state)
    return Taken(id, "created" if present is None else "updated", None if hidden else commit.last)


def _later(clock: Clock, present: Entity | None) -> datetime:
    """This moment, or the one after it where the entity says this one already."""
    now = clock.now()
    return now + timedelta.resolution if present is not None and present.valid_from == now else now


def _hidden(platform: Noesis, principal: Principal, present: Entity, put: Put) -> bool:
    """Whether the caller may not read something of what the record names."""
    (seen,) = platform.view(principal).see([present])
    return seen is None or not seen.masked.isdisjoint({*put.set, *put.unset})


def _decided(principal: Principal, present: Entity | None, put: Put, rules: RuleBook) -> tuple[Request, Verdict]:
    """The decision on what the entity is and on what it would become; the first refusal of the two counts."""
    context: dict[str, Value] = {
        "operation": OPERATION, "effect": "graph", "confidence": Decimal(1), "priority": 0
    }  # fmt: skip
    before = present.properties if present is not None and present.cls == put.cls else {}
    after = {name: value for name, value in {**before, **put.set}.items() if name not in put.unset}
    resources: list[Entity | Resource] = [Resource(put.cls, put.id, after)]
    if present is not None:
        resources.insert(0, present)
    asked = [Request(principal, "apply", it, context) for it in resources]
    verdicts = [(request, decide(request, rules)) for request in asked]
    return next((pair for pair in verdicts if not pair[1].allowed), verdicts[0])


def _changes(present: Entity, put: Put) -> bool:
    return any(present.get(name) != value for name, value in put.set.items()) or any(
        name in present.properties for name in put.unset
    )
