"""Processes that decide under load for the benchmarks of governance: `python -m benchmarks.deciding FOLDER THREADS`.

Each thread begins effects as the gate does: rules of this moment, standing of the controls, decision, then decision record and
intent in one commit that expects the rule book and the control; then the receipt. A held or refused effect is tried again at
once. A process ends when its standard input closes, and says how many it began.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from governance.controls import scopes, standing
from governance.decide import Request, decide
from governance.decisions import record
from governance.people import ensure_principal
from governance.principals import Principal, load_principal
from governance.rules import BOOK, BOOK_CLASS, CLASS, load_rules, rule_id
from kg.clock import SystemClock
from kg.committer import Committer
from kg.errors import ConflictError
from kg.model import Cause, Put
from kg.ontology import Ontology, load
from kg.stores.sqlite import SqliteStore

ROOT: Final = Path(__file__).resolve().parent.parent
AUTHOR: Final = Principal("Service", "bench")
RULES: Final = 1_000
PRODUCTS: Final = 20
#: Seconds that a held thread waits before it looks again, as the runtime's backoff does.
HELD_SECONDS: Final = 0.01
TURTLE: Final = """
@prefix : <urn:shop#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:Product a owl:Class . :Order a owl:Class . :Customer a owl:Class .
:stock a owl:DatatypeProperty ; rdfs:domain :Product , :Order , :Customer ; rdfs:range xsd:integer .
"""


def ontology() -> Ontology:
    """Three classes with the platform's."""
    return load(
        {"shop": TURTLE, **{p: (ROOT / p / "platform.ttl").read_text() for p in ("governance", "coordination")}}
    )


def rule(name: str, text: str) -> Put:
    """An active rule as an entity, for those that the benchmark does not send through a review."""
    return Put(rule_id(name), CLASS, {"name": name, "text": text, "digest": name, "status": "active"})


def _text(n: int) -> str:
    head = f'principal in Role::"r{n % 10}", action == Action::"{("read", "apply", "propose")[n % 3]}"'
    resource = f"resource is {('Product', 'Order', 'Customer')[n // 3 % 3]}"
    return f'@id("r{n}") permit({head}, {resource}) when {{ resource has stock && resource.stock > {n % 100} }};'


def open_store(folder: Path) -> tuple[Committer, Ontology, SystemClock]:
    """The graph of the benchmark, with fsync."""
    clock, words = SystemClock(), ontology()
    return Committer(SqliteStore(folder / "graph.db", words, clock)), words, clock


def fill(store: Committer, clock: SystemClock) -> None:
    """A thousand rules, the agents, and what they act on."""
    puts = [rule(f"r{n}", _text(n)) for n in range(RULES)]
    puts += [Put(f"product{n}", "Product", {"stock": 50 + n}) for n in range(PRODUCTS)]
    book = Put(BOOK, BOOK_CLASS, {"changedBy": "benchmark"})
    store.commit([*puts, book], Cause(clock.id(), "fill", AUTHOR.uid, "benchmark"))
    ensure_principal(store, clock, "Agent", "buyer", AUTHOR, roles=["r1"])
    ensure_principal(store, clock, "User", "operator", AUTHOR, roles=["operators"])


class Beginner:
    """One process's side: threads that begin effects until told to stop."""

    def __init__(self, store: Committer, words: Ontology, clock: SystemClock, threads: int) -> None:
        self.store, self.words, self.clock = store, words, clock
        self.ending = threading.Event()
        self.begun = [0] * threads
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(threads)]

    def start(self) -> None:
        """Begin."""
        for thread in self.threads:
            thread.start()

    def end(self) -> int:
        """End, and how many effects were begun."""
        self.ending.set()
        for thread in self.threads:
            thread.join()
        return sum(self.begun)

    def _run(self, place: int) -> None:
        agent = load_principal(self.store, 'Agent::"buyer"')
        while not self.ending.is_set():
            if self.once(agent, f"product{(place + self.begun[place]) % PRODUCTS}"):
                self.begun[place] += 1
            else:
                self.ending.wait(HELD_SECONDS)

    def once(self, agent: Principal, target: str) -> bool:
        """Begin one effect and write its receipt; whether it could begin."""
        rules, found = load_rules(self.store, self.words), self.store.get([BOOK, target])
        over = standing(self.store, scopes("buyer"))
        if over.held:
            return False
        request = Request(agent, "apply", found[target], {"operation": "reorder", "effect": "graph"})
        verdict, decision, effect = decide(request, rules), self.clock.id(), self.clock.id()
        values = {"operation": "reorder", "effector": "graph", "agent": "buyer", "status": "intent"}
        intent = Put(effect, "Effect", {**values, "idempotencyKey": effect})
        expects = {BOOK: found[BOOK].version, **over.versions}
        try:
            self.store.commit([*record(decision, request, verdict), intent], self._cause("decide"), expects)
        except ConflictError:
            return False
        self.store.commit([Put(effect, "Effect", {"status": "done"})], self._cause("receipt"))
        return True

    def _cause(self, activity: str) -> Cause:
        return Cause(self.clock.id(), activity, 'Agent::"buyer"')


@contextmanager
def deciding(folder: Path, processes: int, threads: int) -> Iterator[None]:
    """So many processes for a block, all of them at work when it begins."""
    line = [sys.executable, "-m", "benchmarks.deciding", str(folder), str(threads)]
    started = [
        subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        for process in started:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("a deciding process did not start; see what it said")
        yield
    finally:
        for process in started:
            process.communicate(input="")


def main(folder: Path, threads: int) -> None:
    """Begin effects until standard input closes."""
    store, words, clock = open_store(folder)
    beginner = Beginner(store, words, clock, threads)
    beginner.start()
    # Reading and parsing a thousand rules takes seconds; whoever is ready has them behind it.
    while not all(beginner.begun):
        beginner.ending.wait(HELD_SECONDS)
    print("ready", flush=True)
    sys.stdin.read()
    print(beginner.end(), flush=True)
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
