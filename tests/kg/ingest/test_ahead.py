"""A batch is drafted while the one before it is committed, and comes out as if it had been drafted afterwards."""

from kg.ingest import load_mapping
from kg.ingest.batch import Run, draft_of, write
from kg.ingest.plan import Plan
from kg.ingest.record import Record
from kg.ingest.report import Tally
from kg.ingest.sources.row import Row
from kg.jq import Jq
from tests.kg.ingest.parts import Desk, write_csv

CHAIN = """
source: erp
tables:
  - from: orders.csv
    class: Order
    key: { orderNo: no }
    relations: { follows: { column: after, to: Order, by: orderNo } }
    snapshot: full
"""
ORDERS = 2_300


def chain(desk: Desk) -> tuple[Run, dict[str, Record]]:
    """A run of the mapping, and records of three orders: A and B follow Z, Z follows itself."""
    path = desk.folder / "mapping.yaml"
    path.write_text(CHAIN)
    mapping = load_mapping(path)
    plan = Plan(mapping, mapping.tables[0], desk.ontology)
    with Jq() as jq:
        found = plan.read([Row(n, {"no": no, "after": "Z"}) for n, no in enumerate("ABZ", 1)], jq)
    return Run(desk.store, desk.clock, plan, "orders.csv", Tally()), {r.name: r for r in found if isinstance(r, Record)}


def test_orders_that_follow_one_another_across_batches(desk: Desk) -> None:
    write_csv(desk.folder / "orders.csv", "no after", [(f"N{i}", f"N{i + 1}") for i in range(ORDERS)])
    report = desk.run(CHAIN)
    assert (report.created, report.dangling) == (ORDERS, 1)
    assert desk.store.count("Order", at_most=ORDERS + 1) == ORDERS
    (number,) = [order for order in desk.store.find("Order", first=ORDERS).items if order.get("orderNo") == "N999"]
    (following,) = desk.store.expand([number.id], "follows")[number.id]
    assert following.entity.get("orderNo") == "N1000"
    again = desk.run(CHAIN)
    assert (again.created, again.updated, again.unchanged) == (0, 0, ORDERS)


def test_a_draft_that_the_commit_before_made_stale_is_made_again(desk: Desk) -> None:
    run, records = chain(desk)
    write(run, [records["B"]], [])
    assert len(desk.rejects()) == 1
    second = draft_of(run, [records["Z"]])
    write(run, [records["A"]], [])
    assert len(desk.rejects()) == 2
    # The draft of Z knows nothing of A, which waits for it since.
    write(run, [records["Z"]], [], None, second)
    assert desk.rejects() == []


def test_a_draft_that_touches_nothing_of_the_last_commit_is_used_once(desk: Desk) -> None:
    run, records = chain(desk)
    write(run, [records["Z"]], [])
    write(run, [records["A"]], [])
    draft = draft_of(run, [records["B"]])
    write(run, [records["B"]], [], None, draft)
    assert run.written is draft
    write(run, [records["B"]], [], None, draft)
    assert run.written is not draft
    assert run.tally.unchanged == 1
