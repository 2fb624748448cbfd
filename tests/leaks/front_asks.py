"""Questions through the front: GraphQL documents of every kind, search over the index, subscriptions, and what is malformed."""

import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from api.graphql.cursors import seal
from api.graphql.ids import global_id
from kg.model import Cursor
from kg.search import search
from kg.values import Value
from tests.governance import generated
from tests.leaks.front import Front
from tests.leaks.worlds import IDS, WORDS, words

FrontAsk = Callable[[Front], Any]
LISTS = {"Product": "products", "Order": "orders", "WebOrder": "webOrders", "Customer": "customers"}
FIELDS = {
    "Product": "stock rate tags note",
    "Order": "total { amount currency } open region margin story",
    "Customer": "note rate tags region phone margin",
}
HOPS = {"Order": ("buyer", "holds"), "Customer": ("orders", "near", "nearOf"), "Product": ("heldIn",)}
ENDS = {
    "buyer": "Customer",
    "holds": "Product",
    "orders": "Order",
    "near": "Customer",
    "nearOf": "Customer",
    "heldIn": "Order",
}
FILTERS = {
    "string": ('{eq: "%s"}', '{in: ["%s", "x"]}', '{prefix: "%s"}', "{present: true}", "{present: false}"),
    "decimal": ('{eq: "%s"}', '{ge: "%s"}', '{lt: "%s"}', "{present: true}", "{present: false}"),
    "integer": ("{eq: %s}", "{ge: %s}", "{lt: %s}", "{present: true}"),
    "boolean": ("{eq: true}", "{eq: false}", "{present: true}"),
}
GIVEN = {
    "string": ("N", "S", "030-3", "a", "hidden-030-3", "hidden-"),
    "decimal": ("2", "3", "998"),
    "integer": ("2", "998"),
}


def _base(cls: str) -> str:
    return "Order" if cls == "WebOrder" else cls


def _where(r: random.Random, cls: str) -> str:
    """A condition on a property, masked ones as well."""
    kinds = {n: p.type for n, p in words().classes[cls].properties.items() if not p.many and p.type in FILTERS}
    name = r.choice(sorted(kinds.keys() - {"token", "due"}))
    form = r.choice(FILTERS[kinds[name]])
    return f"{{{name}: {form % r.choice(GIVEN[kinds[name]]) if '%' in form else form}}}"


def _node(r: random.Random, cls: str, depth: int = 2) -> str:
    """The fields of a node with what hangs on it."""
    base = _base(cls)
    more = ""
    if depth and r.random() < 0.6:
        hop = r.choice(HOPS[base])
        narrowed = f"(where: {_where(r, ENDS[hop])}, first: {r.randrange(1, 4)})" if r.random() < 0.5 else ""
        more = f"{hop}{narrowed} {{ totalCount {{ text }} edges {{ cursor node {{ {_node(r, ENDS[hop], depth - 1)} }} }} }}"
    extra = r.choice(
        (
            "",
            "",
            "history { version until closed masked properties { name value } }",
            "changes { position kind changed origin entity { id } }",
        )
    )
    return f"id class version since masked {FIELDS[base]} {extra} {more}"


def _arguments(r: random.Random, cls: str) -> str:
    given = [f"first: {r.randrange(1, 5)}"]
    if r.random() < 0.5:
        given.append(f"where: {_where(r, cls)}")
    if r.random() < 0.5:
        single = sorted(n for n, p in words().classes[cls].properties.items() if not p.many and n != "token")
        given.append(f"orderBy: {{property: {r.choice(single)}, direction: {r.choice(('ASC', 'DESC'))}}}")
    return ", ".join(given)


def _list(r: random.Random) -> FrontAsk:
    cls = r.choice(generated.CLASSES)
    given, node = _arguments(r, cls), _node(r, cls)
    as_of = f" @asOf(position: {r.randrange(1, 40)})" if r.random() < 0.2 else ""

    def ask(front: Front) -> Any:
        pages, after = [], ""
        for _ in range(len(IDS)):
            more = f', after: "{after}"' if after else ""
            query = (
                f"query{as_of} {{ found: {LISTS[cls]}({given}{more}) {{ totalCount {{ text }} pageInfo {{ hasNextPage endCursor }} "
                f"edges {{ cursor node {{ {node} }} }} }} }}"
            )
            pages.append(front.ask(query))
            page = ((pages[-1][1].get("data") or {}).get("found") or {}).get("pageInfo") or {}
            after = page.get("endCursor") or ""
            if not page.get("hasNextPage") or not after:
                break
        return pages

    return ask


def _forged(r: random.Random) -> FrontAsk:
    """A cursor that nobody gave, sealed as ours are."""
    cls = r.choice(generated.CLASSES)
    kinds = {n: p.type for n, p in words().classes[cls].properties.items() if not p.many and n not in ("token", "due")}
    name, falling = r.choice(sorted(kinds)), r.random() < 0.5
    values: dict[str, tuple[Value, ...]] = {"string": ("M", "hidden-", "030-3"), "decimal": (Decimal(2), Decimal(998))}
    place = Cursor(r.choice((None, *values.get(kinds[name], ()))), r.choice(IDS))
    order = f"orderBy: {{property: {name}, direction: {'DESC' if falling else 'ASC'}}}"
    given = f'{order}, first: {r.randrange(1, 5)}, after: "{seal(f"{cls}:{name}:{falling}", place)}"'
    query = f"{{ found: {LISTS[cls]}({given}) {{ totalCount {{ text }} nodes {{ {_node(r, cls, 0)} }} }} }}"
    return lambda front: front.ask(query)


def _detail(r: random.Random) -> FrontAsk:
    id, cls = r.choice((*IDS, "nobody")), r.choice(generated.CLASSES)
    named = r.choice((id, global_id(cls, id)))
    fragments = " ".join(f"... on {c} {{ {FIELDS[c].replace('total {', 'total {')} }}" for c in ("Product", "Customer"))
    one = {"Product": "product", "Order": "order", "WebOrder": "webOrder", "Customer": "customer"}[cls]
    query = (
        f'{{ node(id: "{named}") {{ id ... on Entity {{ class masked version }} {fragments} }} '
        f'nodes(ids: ["{named}", "{r.choice(IDS)}"]) {{ id }} {one}(id: "{named}") {{ {_node(r, cls)} }} }}'
    )
    return lambda front: front.ask(query)


def _why(r: random.Random) -> FrontAsk:
    id, depth = r.choice(IDS), r.randrange(1, 5)
    name = r.choice(
        ("", ', property: "region"', ', property: "phone"', ', property: "margin"', ', property: "nothing"')
    )
    told = "truncated text prov steps { depth via kind label node withheld details }"
    query = f'{{ why(id: "{id}", depth: {depth}{name}) {{ {told} }} }}'
    return lambda front: front.ask(query)


def _search(r: random.Random) -> FrontAsk:
    text = " ".join(r.sample((*WORDS, "hidden"), r.randrange(1, 3)))
    near = f', near: ["{r.choice(IDS)}"]' if r.random() < 0.3 else ""
    classes = f', classes: ["{r.choice(generated.CLASSES)}"]' if r.random() < 0.4 else ""
    given = f'text: "{text}", first: {r.randrange(1, 6)}{near}{classes}'
    query = f"{{ search({given}) {{ behind fallback hits {{ entity {{ id class masked }} score }} }} }}"
    return lambda front: front.ask(query)


def _index(r: random.Random) -> FrontAsk:
    """The search of agents and commands, over the index itself."""
    text = " ".join(r.sample((*WORDS, "hidden"), r.randrange(1, 3)))
    first, near = r.randrange(1, 6), r.sample(IDS, 1) if r.random() < 0.3 else []

    def ask(front: Front) -> Any:
        view = front.world.view()
        return repr(search(front.store, front.index, front.embedder, view, words(), text, (), first, near))

    return ask


def _feed(r: random.Random) -> FrontAsk:
    query = (
        f"{{ changes(after: {r.randrange(30)}, first: {r.randrange(1, 9)}) {{ position changes {{ position kind class subject "
        "version changed relation origin cause agent activity entity { id class masked } } } }"
    )
    return lambda front: front.ask(query)


def _malformed(r: random.Random) -> FrontAsk:
    """What is refused: the words of the refusal tell nothing either."""
    id, cls = r.choice(IDS), r.choice(generated.CLASSES)
    wrong = r.choice(
        (
            f'{{ {LISTS[cls]}(after: "garbled") {{ totalCount {{ text }} }} }}',
            f'{{ why(id: "{id}", property: "phon") {{ text }} }}',
            f'{{ node(id: "{id}") {{ ... on Customer {{ token }} }} }}',
            '{ customers(where: {phone: {prefix: "0"}}, orderBy: {property: token}) { totalCount { text } } }',
            f'{{ runEvents(run: "{id}") }}',
            f'mutation {{ approve(decision: "{id}") {{ errors {{ message }} }} }}',
            f"{{ {LISTS[cls]}(first: 100000) {{ nodes {{ id }} }} }}",
        )
    )
    return lambda front: front.ask(wrong)


def _subscription(r: random.Random) -> FrontAsk:
    after = r.randrange(20)
    told = "position kind class subject version changed relation origin cause agent activity entity { id class masked }"

    def ask(front: Front) -> Any:
        _, body = front.ask(f"{{ changes(after: {after}, first: 100) {{ changes {{ position }} }} }}")
        count = len(((body.get("data") or {}).get("changes") or {}).get("changes") or ())
        return front.follow(f"subscription {{ changes(after: {after}) {{ {told} }} }}", count)

    return ask


KINDS = (_list, _list, _list, _forged, _detail, _detail, _why, _search, _search, _index, _index, _feed, _malformed)


def asks(seed: int, size: int) -> Iterator[tuple[str, FrontAsk]]:
    """Questions of every kind under a seed; the last is a subscription."""
    r = random.Random(f"front {seed}")
    for n in range(size - 1):
        kind = KINDS[n % len(KINDS)]
        yield f"_graphql{kind.__name__}", kind(r)
    yield "_graphql_subscription", _subscription(r)
