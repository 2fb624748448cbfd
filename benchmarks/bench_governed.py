"""A list of 1,000 entities through GraphQL over HTTP, governed by 1,000 rules, beside the same query under a View without rules.

Both pay for knowing the caller and for reading, resolving and answering; only the View differs. The reader may see every row by
conditions on two of its properties, one personal property is masked in each row, and the reads are counted (`@readings`), so
deciding, masking and counting are in it.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from api.platform import Noesis
from benchmarks.result import Result, at_most
from governance.people import ensure_principal
from governance.principals import Principal
from governance.rules import BOOK, BOOK_CLASS, CLASS, load_rules, rule_id
from kg.clock import SystemClock
from kg.model import Entity, Put
from kg.store import Head
from kg.stores.sqlite import SqliteStore
from kg.view import View
from tests.api import parts
from tests.api.client import Client

ROWS = 1_000
PAGE = 500
RULES = 1_000
ROUNDS = 15
BAR = 1.5
CLASSES = ("Customer", "Supplier", "Order", "Line", "Ticket")
READERS = 'permit(principal in Role::"readers", action == Action::"read", resource is Customer)'
#: What the reader's decisions hang on: rows differ in both properties, and both conditions hold for all of them.
OWN = (
    f'@id("reads") @readings("1h by role, class") {READERS} when {{ resource has rating && resource.rating < 5 }};',
    '@id("gone") forbid(principal in Role::"readers", action == Action::"read", resource is Customer) '
    'when { resource has name && resource.name == "gone" };',
)
QUERY = """query ($after: String) { customers(first: 500, after: $after) {
  nodes { number name email rating limit { amount currency } } pageInfo { endCursor hasNextPage } } }"""


class _Everything:
    """A View without rules: the floor."""

    principal = 'User::"reader"'

    def see(self, entities: Sequence[Entity]) -> list[Entity | None]:
        return list(entities)

    def classes(self, names: Sequence[str]) -> list[str]:
        return list(names)


def _everything(principal: Principal, end: Head | None = None) -> View:
    del principal, end
    return _Everything()


def _rules() -> list[Put]:
    """The reader's rules and as many others as make a thousand, as entities."""
    texts = {f"r{n}": _other(n) for n in range(RULES - len(OWN))}
    texts |= {text.split('"')[1]: text for text in OWN}
    return [
        Put(rule_id(name), CLASS, {"name": name, "text": text, "digest": name, "status": "active"})
        for name, text in texts.items()
    ]


def _other(n: int) -> str:
    head = (
        f'principal in Role::"r{n % 20}", action == Action::"{("read", "apply")[n % 2]}", resource is {CLASSES[n % 5]}'
    )
    return f'@id("r{n}") {("permit", "forbid")[n % 3 == 0]}({head}) when {{ context has purpose && context.purpose == "p{n}" }};'


def _platform(folder: Path) -> Noesis:
    words, clock = parts.ontology(), SystemClock()
    store = SqliteStore(folder / "graph.db", words, clock)
    platform = parts.platform(store, clock, words)
    parts.write(store, clock, *_rules(), Put(BOOK, BOOK_CLASS, {"changedBy": "benchmark"}))
    parts.write(store, clock, *(parts.customer(n) for n in range(ROWS)))
    ensure_principal(store, clock, "User", "reader", parts.SYSTEM, roles=["readers", "r1", "r2"])
    if len(load_rules(store, words).statements) < RULES:
        raise SystemExit("the rules of the benchmark are not in force")
    return platform


def _listed(client: Client) -> tuple[float, list[dict[str, object]]]:
    """Milliseconds for the whole list, two pages, and its rows."""
    started, rows, after = time.perf_counter(), [], None
    while True:
        page = client.data(QUERY, after=after)["customers"]
        rows += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return (time.perf_counter() - started) * 1e3, rows


def run() -> list[Result]:
    """Both clients turn by turn, the median of each."""
    with tempfile.TemporaryDirectory() as name:
        platform = _platform(Path(name))
        key = parts.key(platform, 'User::"reader"')
        governed = Client(platform, key)
        open_ = Client(replace(platform, view=_everything), key)
        taken: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            for place, client in enumerate((governed, open_)):
                milliseconds, rows = _listed(client)
                if len(rows) != ROWS or (rows[0]["email"] is None) != (client is governed):
                    raise SystemExit(f"the list is wrong: {len(rows)} rows, first {rows[:1]}")
                taken[place].append(milliseconds)
        platform.store.close()
    ours, floor = (statistics.median(one) for one in taken)
    return [at_most("governed list of 1,000 through GraphQL", ours, "ms", "the same list ungoverned", floor, BAR)]


if __name__ == "__main__":
    for result in run():
        print(result)
