"""Proving and forgetting: an inclusion proof and a checkpoint at 1,000,000 changes, and a person with 10,000 facts erased."""

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.result import Result, median_us, seconds, within
from kg import checkpoints, ledger, proofs, signing
from kg.clock import SystemClock
from kg.evidence import Forgetting, Forgotten, Revised
from kg.model import Cause, Link, Put, Write
from kg.store import Request
from kg.stores.sqlite import SqliteStore
from tests.parts import FreeSchema

CHANGES = 1_000_000
BATCH = 20_000
FACTS = 10_000
OTHERS = 20_000
PROOFS = 200
SIGNED = 20


def run() -> list[Result]:
    """The three bars on one file each."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_proofs(Path(folder) / "large.db"), _forget(Path(folder) / "person.db")]


def _proofs(path: Path) -> list[Result]:
    clock = SystemClock()
    store = SqliteStore(path, FreeSchema(), clock, durable=False)
    for start in range(0, CHANGES, BATCH):
        store.commit(
            [Put(f"e{n}", "Thing", {"n": n}) for n in range(start, start + BATCH)], Cause(f"c{start}", "t", "S")
        )
    rng, size, root = random.Random(1), CHANGES, checkpoints.root_at(store, CHANGES)
    wanted = [rng.randrange(size) for _ in range(PROOFS)]
    leaves = {n: store.ledger(n, 1)[0][1] for n in wanted}
    assert all(ledger.includes(leaves[n], n, size, proofs.inclusion(store, n, size), root) for n in wanted[:20])
    proof = median_us(lambda n: proofs.inclusion(store, wanted[n], size), PROOFS) / 1_000
    key = signing.signer("bench.local/ledger", signing.make_key())
    made = median_us(lambda _: checkpoints.sign(store, clock, key, "Service::bench"), SIGNED) / 1_000
    store.close()
    return [
        within("inclusion proof at 1,000,000 changes, p50", proof, "ms", 1),
        within("checkpoint at 1,000,000 changes, p50", made, "ms", 10),
    ]


def _forget(path: Path) -> Result:
    """The person's own 2,000 versions, and 8,000 notes about her by other entities, among 20,000 facts of others."""
    clock = SystemClock()
    schema = FreeSchema(personal={"Person": frozenset({"name", "mail"})}, text={"Note": ("body",)})
    store = SqliteStore(path, schema, clock, durable=False)
    own, notes = FACTS // 5, FACTS - FACTS // 5
    writes: list[Write] = []
    for n in range(own):
        writes.append(Put("p", "Person", {"name": f"Wilhelmina Quackenbush {n}", "mail": f"w{n}@quackenbush.example"}))
    for n in range(notes):
        writes += [
            Put(f"n{n}", "Note", {"body": f"w{n % own}@quackenbush.example called"}),
            Link(f"n{n}", "about", "p"),
        ]
    writes += [Put(f"o{n}", "Note", {"body": f"customer {n} of Ghent wants a pump"}) for n in range(OTHERS)]
    for start in range(0, len(writes), BATCH // 10):
        store.commit(writes[start : start + BATCH // 10], Cause(f"c{start}", "t", "S"))
    store.search_text("pump")

    def record(forgotten: Forgotten) -> Request:
        assert sum(count for what, count in forgotten.counts.items() if what != "cause") >= FACTS
        values = {"rowsDigest": forgotten.digest}
        return Request([Put("erasure", "Erasure", values)], Cause("forget", "person.forget", "S"), {})

    def openly(revised: Sequence[Revised]) -> Request:
        writes: list[Write] = []
        for one in revised:
            kept = {name: value for name, value in one.changed.items() if value is not None}
            writes.append(Put(one.id, one.cls, kept, one.drop))
        return Request(writes, Cause("openly", "person.forget", "S"), {})

    taken = seconds(lambda: store.forget(Forgetting("erasure", frozenset({"p"})), openly, record))
    assert store.residue(["quackenbush.example"]) == []
    assert store.verify() == store.head().position
    store.close()
    return within("forget a person with 10,000 facts", taken, "s", 5)
