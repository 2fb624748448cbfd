"""GraphQL types of the ontology's classes: a field for each property and each relation, forwards and backwards.

Made in two passes, since classes refer to each other: first an empty Python class each, then fields, then `strawberry.type`. A
class with subclasses becomes an interface, and its own entities the type ``Plain<Class>``. Invariant: names come from
`kg.ontology.names`, which refused collisions when the ontology was loaded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import strawberry
from strawberry import Info

from api.errors import BadRequestError
from api.graphql.conditions import Inputs, conditions, filters, inputs, ordering
from api.graphql.connections import Connection, Place, connection_type, page_size
from api.graphql.cursors import open_cursor
from api.graphql.entities import Entity
from api.graphql.hops import Hop
from api.graphql.operations import Operation
from api.graphql.rows import PREFIX, Row, type_name
from api.graphql.scalars import ANNOTATIONS, DecimalText
from api.settings import Settings
from governance.view import NEVER_SHOWN
from kg.errors import OntologyError
from kg.model import Cursor, Direction, Where
from kg.model import Entity as Stored
from kg.ontology.classes import Class, Property, RelationType
from kg.ontology.names import graphql_field, graphql_type
from kg.ontology.ontology import Ontology
from kg.store import PAGE_MAX


@strawberry.type(name="Money", description="An amount and its ISO 4217 currency.")
class MoneyType:
    amount: DecimalText
    currency: str


def _open(cls: Class) -> Class:
    """The class without properties that no View ever shows."""
    kept = {name: prop for name, prop in cls.properties.items() if prop.sensitivity not in NEVER_SHOWN}
    return replace(cls, properties=kept)


class ClassTypes:
    """The GraphQL types of one ontology, by class name."""

    def __init__(self, ontology: Ontology, settings: Settings) -> None:
        self.ontology = ontology
        self.classes = {name: _open(cls) for name, cls in ontology.classes.items()}
        self.page_default, self.page_nested = settings.page_default, settings.page_nested
        self.page_max = settings.page_max
        self.annotations: Mapping[str, Any] = {**ANNOTATIONS, "money": MoneyType}
        self.inputs: dict[str, Inputs] = {}
        #: class -> what a field that leads to it is typed as: its interface if it has one, else its object type
        self.nodes: dict[str, Any] = {}
        self.connections: dict[str, Any] = {}
        #: every object type, for the schema to know those that only an interface leads to
        self.objects: list[Any] = []
        self._shared = self._shared_names()
        self._build()

    def _shared_names(self) -> frozenset[str]:
        """Relation names that several unrelated classes declare."""
        sources: dict[str, set[str]] = {}
        for cls in self.ontology.classes.values():
            for relation in cls.relations.values():
                sources.setdefault(relation.name, set()).add(relation.source)
        return frozenset(name for name, declared in sources.items() if len(declared) > 1)

    def _build(self) -> None:
        shells: dict[str, Any] = {}
        order = sorted(self.classes, key=self._depth)
        for name in order:
            self._shell(self.classes[name], shells)
        by_type = filters()
        for cls in self.classes.values():
            self.inputs[cls.name] = inputs(cls, by_type, self.annotations)
            self.connections[cls.name] = connection_type(graphql_type(cls.name), self.nodes[cls.name])
        for name in order:
            self._finish(self.classes[name], shells[name])

    def _depth(self, name: str) -> tuple[int, str]:
        """Ancestors first."""
        return -len(self.ontology.subclasses(name)), name

    def _shell(self, cls: Class, shells: dict[str, Any]) -> None:
        parents = tuple(self.nodes[parent] for parent in cls.parents) or (Entity,)
        name = graphql_type(cls.name)
        try:
            if type_name(self.ontology, cls.name) != name:
                self.nodes[cls.name] = type(name, parents, {"__module__": __name__})
                parents = (self.nodes[cls.name],)
            shell = type(type_name(self.ontology, cls.name), parents, {"__module__": __name__})
        except TypeError:
            raise OntologyError(
                f"class {cls.name} inherits from {', '.join(cls.parents)} in an order that has no solution; reorder them"
            ) from None
        shells[cls.name] = shell
        self.nodes.setdefault(cls.name, shell)

    def _finish(self, cls: Class, shell: Any) -> None:
        own = type_name(self.ontology, cls.name)
        if self.nodes[cls.name] is not shell:
            self._fill(cls, self.nodes[cls.name])
            strawberry.interface(self.nodes[cls.name], description=cls.comment or cls.label)
        self._fill(cls, shell)
        shell.is_type_of = staticmethod(lambda obj, _info: type(obj) is Row and obj.type == own)
        self.objects.append(strawberry.type(shell, description=cls.comment or cls.label))

    def _fill(self, cls: Class, shell: Any) -> None:
        annotations: dict[str, Any] = {}
        for prop in cls.properties.values():
            annotations[PREFIX + prop.name] = self._annotation(prop)
            field = strawberry.field(name=graphql_field(prop.name), description=prop.comment or None)
            setattr(shell, PREFIX + prop.name, field)
        shell.__annotations__ = annotations
        for relation in cls.relations.values():
            setattr(shell, f"out_{relation.name}", self._forward(relation))
        for inverse, relation in self.ontology.inverses(cls.name).items():
            setattr(shell, f"in_{inverse}", self._backward(inverse, relation))

    def _annotation(self, prop: Property) -> Any:
        one: Any = self.annotations[prop.type]
        return (list.__class_getitem__(one) if prop.many else one) | None

    def _forward(self, relation: RelationType) -> Any:
        name = graphql_field(relation.name)
        if relation.many:
            return self._many(name, relation.target, relation, Direction.OUT, None)
        hop = Hop(relation.name, Direction.OUT)

        async def resolve(self: Any, info: Info[Operation, None]) -> Any:
            found = await info.context.follow(hop, self.entity.id)
            return info.context.row(found.edges[0].entity) if found.edges else None

        return strawberry.field(
            resolver=resolve,
            name=name,
            graphql_type=self.nodes[relation.target] | None,
            description=relation.comment or None,
        )

    def _backward(self, inverse: str, relation: RelationType) -> Any:
        classes = frozenset(self.ontology.subclasses(relation.source)) if relation.name in self._shared else None
        return self._many(graphql_field(inverse), relation.source, relation, Direction.IN, classes)

    def _many(
        self, name: str, far: str, relation: RelationType, direction: Direction, classes: frozenset[str] | None
    ) -> Any:
        target, most = self.classes[far], self.page_max
        listing = f"{relation.source}.{relation.name}.{direction}"

        async def resolve(
            self: Any, info: Info[Operation, None], where: Any = None, first: int = 0, after: str | None = None
        ) -> Any:
            operation = info.context
            place = None if after is None else open_cursor(listing, after).id
            hop = Hop(relation.name, direction, classes, conditions(target, where), page_size(first, most), place)
            found = await operation.follow(hop, self.entity.id)
            _tell(operation, [edge.entity for edge in found.edges], hop.where)

            async def counting() -> int:
                counted = Hop(relation.name, direction, classes, hop.where, PAGE_MAX - 1)
                whole = await operation.follow(counted, self.entity.id)
                return len(whole.edges) + (1 if whole.more is not None else 0)

            places = [Place(operation.row(e.entity), listing, Cursor(None, e.entity.id)) for e in found.edges]
            more = None if found.more is None else Cursor(None, found.more)
            return Connection(places, listing, more, after is not None, counting)

        return self._paged(resolve, far, name, relation.comment, self.page_nested)

    def _paged(self, resolve: Any, far: str, name: str, comment: str, first: int, **more: Any) -> Any:
        """A connection field with the arguments of a page."""
        arguments = {"where": self.inputs[far].where, **more}
        resolve.__annotations__ |= {key: of | None for key, of in arguments.items() if of is not None}
        resolve.__defaults__ = tuple(first if value == 0 else value for value in resolve.__defaults__)
        unused = [key for key, of in arguments.items() if of is None]
        return strawberry.field(
            resolver=_without(resolve, unused) if unused else resolve,
            name=name,
            graphql_type=self.connections[far],
            description=comment or None,
        )

    def listing(self, cls: Class, name: str) -> Any:
        """The root field that lists a class."""
        most = self.page_max

        async def resolve(
            info: Info[Operation, None],
            where: Any = None,
            order_by: Any = None,
            first: int = 0,
            after: str | None = None,
        ) -> Connection:
            operation, order, found = info.context, ordering(order_by), conditions(cls, where)
            key = f"{cls.name}:{order.property or ''}:{order.descending}"
            place = None if after is None else open_cursor(key, after)
            page = await operation.call(operation.reader.find, cls.name, found, order, place, page_size(first, most))
            by = order.property
            _tell(operation, page.items, found, by)
            places = [Place(operation.row(it), key, Cursor(it.get(by) if by else None, it.id)) for it in page.items]

            async def counting() -> int:
                return await operation.call(operation.reader.count, cls.name, found)

            return Connection(places, key, page.next, after is not None, counting)

        comment = f"The {cls.label} entities."
        return self._paged(resolve, cls.name, name, comment, self.page_default, order_by=self.inputs[cls.name].order)


def _tell(operation: Operation, items: Iterable[Stored], where: Iterable[Where], order: str | None = None) -> None:
    """Whatever is asked of a page, it tells the values that its conditions and its order compare."""
    compared = [condition.property for condition in where] + ([order] if order is not None else [])
    if compared:
        for item in items:
            operation.readings.note(item, *compared)


def _without(resolve: Any, names: list[str]) -> Any:
    """The resolver without arguments that its class has no use for."""
    import inspect

    signature = inspect.signature(resolve)

    async def narrowed(*args: Any, **kwargs: Any) -> Any:
        return await resolve(*args, **kwargs)

    kept = [part for key, part in signature.parameters.items() if key not in names]
    vars(narrowed)["__signature__"] = signature.replace(parameters=kept)
    narrowed.__annotations__ = {key: of for key, of in resolve.__annotations__.items() if key not in names}
    return narrowed


def one_of(found: list[Any], cls: str) -> Any:
    """The only entity of a key, None where there is none; BadRequestError where the key is not unique."""
    if len(found) > 1:
        raise BadRequestError(f"several {cls} entities have this key; ask by id, or list them")
    return found[0] if found else None
