"""Root fields: one entity and a list for each class, beside what the platform itself answers.

Invariant: every root field reads through the operation, so `@asOf` and the View hold for all of them alike.
"""

from typing import Any

import strawberry
from strawberry import Info

from api.errors import BadRequestError
from api.graphql import names
from api.graphql.changes import ENTITY, Feed, check_written, describe
from api.graphql.classes import ClassTypes, one_of
from api.graphql.conditions import key_conditions
from api.graphql.entities import Node, property_named
from api.graphql.ids import entity_id
from api.graphql.lineage import Why, explain
from api.graphql.operations import Operation
from api.graphql.scalars import JSON, DateTimeText, Position
from api.graphql.searching import SearchAnswer, find_text
from coordination.runs import lifecycles
from kg.ontology.classes import Class

#: Changes in one answer, and ids in one `nodes`.
CHANGES_MAX = 1_000
NODES_MAX = 500
START = Position(0)


@strawberry.type(description="The end of the change log.")
class LedgerHead:
    position: Position
    at: DateTimeText | None
    root: str = strawberry.field(description="The root hash of the ledger in hexadecimal.")


@strawberry.type(description="Who asks.")
class Viewer:
    uid: str = strawberry.field(description='As rules write it, e.g. User::"anna".')
    kind: str
    roles: list[str]
    departments: list[str]
    local: bool = strawberry.field(description="Whether the request came without a key, from this machine.")


async def _node(info: Info[Operation, None], id: strawberry.ID) -> Any:
    return await info.context.row_of(entity_id(id))


async def _nodes(info: Info[Operation, None], ids: list[strawberry.ID]) -> Any:
    if len(ids) > NODES_MAX:
        raise BadRequestError(f"{len(ids)} ids are too many; at most {NODES_MAX} in one request")
    return [await found for found in [info.context.row_of(entity_id(id)) for id in ids]]


async def _changes(info: Info[Operation, None], after: Position = START, first: int = 100) -> Feed:
    if not 1 <= first <= CHANGES_MAX:
        raise BadRequestError(f"first: {first} is outside 1 to {CHANGES_MAX}; ask for a number within")
    feed = await info.context.call(info.context.reader.changes, after, first)
    if after and not feed.changes:
        check_written(after, (await info.context.call(info.context.platform.store.head)).position)
    return Feed(changes=[describe(change) for change in feed.changes], position=Position(feed.position))


async def _why(
    info: Info[Operation, None], id: strawberry.ID, property: str | None = None, depth: int = 10
) -> Why | None:
    row = await info.context.row_of(entity_id(id))
    if row is None:
        return None
    cls = info.context.platform.ontology.cls(row.entity.cls)
    return await explain(
        info.context, row.entity.id, None if property is None else property_named(cls, property), depth
    )


async def _search(
    info: Info[Operation, None],
    text: str,
    classes: list[str] | None = None,
    near: list[strawberry.ID] | None = None,
    first: int = 10,
) -> SearchAnswer:
    return await find_text(info.context, text, classes or [], [entity_id(id) for id in near or []], first)


async def _head(info: Info[Operation, None]) -> LedgerHead:
    head = await info.context.call(info.context.platform.store.head)
    at = None if head.at is None else DateTimeText(head.at)
    return LedgerHead(position=Position(head.position), at=at, root=head.root.hex())


async def _run_events(info: Info[Operation, None], run: strawberry.ID, after: str = "", first: int = 100) -> list[JSON]:
    if not 1 <= first <= CHANGES_MAX:
        raise BadRequestError(f"first: {first} is outside 1 to {CHANGES_MAX}; ask for a number within")
    operation, id = info.context, entity_id(run)
    if await operation.row_of(id) is None:
        return []
    found = await operation.call(lifecycles.events, operation.platform.store, operation.view, id, operation.at)
    return [JSON(event) for event in found if str(event["sequence"]) > after][:first]


def _viewer(info: Info[Operation, None]) -> Viewer:
    principal = info.context.principal
    return Viewer(
        uid=principal.uid,
        kind=principal.kind,
        roles=sorted(principal.roles),
        departments=sorted(principal.departments),
        local=info.context.caller is not None and info.context.caller.local,
    )


@strawberry.type
class PlatformQuery:
    """What the platform answers whatever the ontology."""

    node: Node | None = strawberry.field(resolver=_node, graphql_type=Node | None, description="Anything by its id.")
    nodes = strawberry.field(
        resolver=_nodes, graphql_type=list[Node | None], description="Several by their ids, null where there is none."
    )
    search = strawberry.field(resolver=_search, description="By meaning, words and nearness in the graph.")
    changes = strawberry.field(resolver=_changes, description="The change log after a position.")
    why = strawberry.field(
        resolver=_why, description="Why an entity or one property of it is so; null: not to be seen."
    )
    run_events = strawberry.field(
        resolver=_run_events,
        description="The lifecycle events of a run as CloudEvents, after one of them by its `sequence`; none: not to be seen.",
    )
    head = strawberry.field(resolver=_head, description="The end of the change log and of the ledger.")
    viewer = strawberry.field(resolver=_viewer, description="Who asks, with the roles of this moment.")


PLATFORM_ROOTS = ("node", "nodes", "search", "changes", "why", "runEvents", "head", "viewer")


def _single(types: ClassTypes, cls: Class) -> Any:
    """The root field that gives one entity of a class by id or key."""
    key = types.inputs[cls.name].key
    below = frozenset(types.ontology.subclasses(cls.name))
    name = names.one(cls.name)

    async def by_id(info: Info[Operation, None], id: strawberry.ID) -> Any:
        row = await info.context.row_of(entity_id(id))
        return row if row is not None and row.entity.cls in below else None

    async def by_either(info: Info[Operation, None], id: strawberry.ID | None = None, key: Any = None) -> Any:
        if (id is None) == (key is None):
            raise BadRequestError(f"{name} needs an id or a key, and not both; give one")
        if id is not None:
            return await by_id(info, id)
        operation = info.context
        page = await operation.call(operation.reader.find, cls.name, key_conditions(cls, key), None, None, 2)
        return one_of([operation.row(item) for item in page.items], cls.name)

    resolver: Any = by_id if key is None else by_either
    if key is not None:
        by_either.__annotations__["key"] = key | None
    return strawberry.field(
        resolver=resolver, name=name, graphql_type=types.nodes[cls.name] | None, description=cls.comment or None
    )


def query_type(types: ClassTypes) -> Any:
    """The Query type: the platform's fields and two for each class."""
    names.check_roots(types.ontology.classes, PLATFORM_ROOTS)
    body: dict[str, Any] = {"__module__": __name__, "__annotations__": {}}
    for cls in sorted(types.classes.values(), key=lambda cls: cls.name):
        body[f"one_{cls.name}"] = _single(types, cls)
        body[f"many_{cls.name}"] = types.listing(cls, names.many(cls.name))
    return strawberry.type(type("Query", (PlatformQuery,), body))


__all__ = ["ENTITY", "PlatformQuery", "query_type"]
