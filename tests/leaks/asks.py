"""Everything a principal can ask of a graph, each as a function of a world and a store that gives plain comparable values."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from agents.context import Context
from governance.answers import Standing, answer
from governance.dossier import gather
from governance.errors import DossierError
from kg.errors import InputError
from kg.index import Embedder, SemanticIndex
from kg.lineage import prov_json, why
from kg.model import Cursor, Direction, Op, Order, Where
from kg.reader import Reader
from kg.search import search
from kg.store import GraphStore
from kg.values import Money, Value
from tests.governance import generated
from tests.leaks.worlds import IDS, WORDS, Ask, World, words

RELATIONS = ("buyer", "holds", "near")
STANDING = Standing(1, "key", 1, 1)
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def condition(r: random.Random, cls: str) -> Where:
    """A condition on some property of a class, masked ones as well; values as they occur, also behind masks."""
    name = r.choice(sorted(words().classes[cls].properties))
    op = r.choice((Op.EQ, Op.PRESENT, Op.ABSENT, Op.GE, Op.LT, Op.IN))
    if op in (Op.PRESENT, Op.ABSENT):
        return Where(name, op)
    kind = words().classes[cls].properties[name].type
    values: dict[str, tuple[Value, ...]] = {
        "string": ("N", "S", "030-3", "t2", "a", "hidden-030-3"),
        "integer": (2, 3, 998),
        "decimal": (Decimal(2), Decimal(3), Decimal(998)),
        "boolean": (True, False),
        "money": (Money(Decimal(4), "EUR"),),
    }
    choices = values.get(kind, ("x",))
    given = r.choice(choices)
    if op is Op.IN:
        return Where(name, op, tuple([given] if not isinstance(given, tuple) else []))
    if isinstance(given, bool) or words().classes[cls].properties[name].many:
        return Where(name, Op.PRESENT)
    return Where(name, op, given)


def _find(r: random.Random) -> Ask:
    cls = r.choice(generated.CLASSES)
    where = [condition(r, cls) for _ in range(r.randrange(3))]
    single = [name for name, p in words().classes[cls].properties.items() if not p.many]
    order = r.choice((None, Order(None, True), Order(r.choice(single), r.random() < 0.5)))
    first = r.randrange(1, 5)

    def ask(world: World, store: GraphStore) -> Any:
        reader, after, pages = Reader(store, world.view()), None, []
        for _ in range(len(IDS) + 1):
            page = reader.find(cls, where, order, after, first)
            pages.append(page)
            after = page.next
            if after is None:
                break
        return pages

    return ask


def _forged(r: random.Random) -> Ask:
    """A cursor that nobody gave: any value, any id."""
    cls = r.choice(generated.CLASSES)
    name = r.choice([name for name, p in words().classes[cls].properties.items() if not p.many])
    value = r.choice((None, "M", "hidden-", Decimal(2), 2))
    cursor = Cursor(value, r.choice(IDS))

    def ask(world: World, store: GraphStore) -> Any:
        try:
            return Reader(store, world.view()).find(cls, (), Order(name), cursor, 3)
        except (InputError, TypeError) as error:
            return type(error).__name__

    return ask


def _count(r: random.Random) -> Ask:
    cls = r.choice(generated.CLASSES)
    where = [condition(r, cls) for _ in range(r.randrange(3))]
    return lambda world, store: Reader(store, world.view()).count(cls, where)


def _expand(r: random.Random) -> Ask:
    relation, direction = r.choice(RELATIONS), r.choice(tuple(Direction))
    ids, first = r.sample(IDS, 4), r.randrange(1, 4)
    where = [condition(r, "Customer")] if r.random() < 0.4 else []
    return lambda world, store: Reader(store, world.view()).expand(ids, relation, direction, where, first)


def _walk(r: random.Random) -> Ask:
    a, b = r.sample(IDS, 2)

    def ask(world: World, store: GraphStore) -> Any:
        reader = Reader(store, world.view())
        return reader.relations([a, b]), reader.paths(a, b)

    return ask


def _past(r: random.Random) -> Ask:
    id, at, version = r.choice(IDS), r.randrange(1, 40), r.randrange(1, 4)

    def ask(world: World, store: GraphStore) -> Any:
        reader = Reader(store, world.view(), min(at, store.head().position))
        return (
            reader.get(IDS), reader.history(id), reader.versions([(id, version), (id, version + 1)]),
            reader.changes_of(id), reader.find(world.classes[id]), reader.relations([id]),
        )  # fmt: skip

    return ask


def _log(r: random.Random) -> Ask:
    after, first = r.randrange(30), r.randrange(1, 8)
    return lambda world, store: Reader(store, world.view()).changes(after, first)


def _why(r: random.Random) -> Ask:
    id, depth = r.choice(IDS), r.randrange(1, 5)
    name = r.choice((None, "region", "phone", "margin", "note"))

    def ask(world: World, store: GraphStore) -> Any:
        try:
            tree = why(store, world.view(), id, name, depth)
        except InputError as error:
            return str(error)
        return tree.json(), tree.lines(), prov_json(tree)

    return ask


def _search(r: random.Random, index: tuple[SemanticIndex, Embedder] | None = None) -> Ask:
    text = " ".join(r.sample(WORDS, r.randrange(1, 3)))
    near = r.sample(IDS, 1) if r.random() < 0.3 else []
    semantic, embedder = index if index is not None else (None, None)

    def ask(world: World, store: GraphStore) -> Any:
        return search(store, semantic, embedder, world.view(), words(), text, (), 5, near)

    return ask


def _agent(r: random.Random) -> Ask:
    cls, id, text = r.choice(generated.CLASSES), r.choice(IDS), r.choice(WORDS)

    def ask(world: World, store: GraphStore) -> Any:
        view, at = world.view(), store.head().position

        def searching(asked: str, classes: Any, first: int) -> Any:
            return search(store, None, None, view, words(), asked, classes, first).hits

        context = Context("w", "a", at, NOW, Reader(store, view, at), searching)
        found = (
            context.get(id),
            context.find(cls),
            context.expand(id, "buyer"),
            context.history(id),
            context.search(text),
        )
        return found, context.read, context.digest()

    return ask


def _report(r: random.Random) -> Ask:
    subject = r.choice(("d1", *IDS))

    def ask(world: World, store: GraphStore) -> Any:
        try:
            dossier = gather(store, world.view(), subject, NOW)
        except DossierError as error:
            return str(error)
        return [one.json() for one in answer(dossier, STANDING)], [c.withheld for c in dossier.cases]

    return ask


KINDS = (_find, _find, _find, _forged, _count, _expand, _walk, _past, _past, _log, _why, _why, _search, _agent, _report)


def asks(seed: int, size: int) -> Iterator[tuple[str, Ask]]:
    """Questions of every kind under a seed."""
    r = random.Random(f"asks {seed}")
    for n in range(size):
        kind = KINDS[n % len(KINDS)]
        yield kind.__name__, kind(r)
