"""One entity, several systems with keys of their own: keys and aliases lead to one id, whatever comes first."""

import itertools
import threading
from pathlib import Path

import pytest

from kg.ingest import ingest, load_mapping
from kg.model import Direction
from kg.stores.sqlite import SqliteStore
from tests.kg.ingest.parts import Desk, company, write_csv
from tests.parts import ManualClock

CRM = """
source: crm
tables:
  - from: accounts.csv
    class: Customer
    key: { accountId: id }
    aliases: { vat: { jq: '.vat | gsub("[ .]"; "")' }, domain: { jq: ".domain | ascii_downcase" } }
    match: vat
    properties: { name: name, segment: segment }
    snapshot: full
    close_at_most: 1
"""
ERP = """
source: erp
tables:
  - from: orders.csv
    class: Order
    key: { orderNo: no }
    relations: { placedBy: customer, follows: after }
  - from: customers.csv
    class: Customer
    key: { customerNo: no }
    aliases: { vat: vat }
    match: vat
    properties: { creditLimit: { column: credit, currency: EUR }, name: name }
    snapshot: full
    close_at_most: 1
"""
DESK = """
source: helpdesk
tables:
  - from: tickets.csv
    class: Ticket
    key: { ticketNo: no }
    properties: { subject: subject }
    relations:
      about: { jq: '.mail | split("@")[1] | ascii_downcase', to: Customer, by: domain }
      mentions: { jq: '[.subject | scan("SO-[0-9]+")]', to: Order, by: orderNo }
"""
SYSTEMS = {"crm": CRM, "erp": ERP, "helpdesk": DESK}


def fill(folder: Path) -> None:
    accounts = [["C-1", "Acme GmbH", "A", "DE 1.1", "acme.example"], ["C-2", "Bolt AG", "B", "DE22", "Bolt.example"]]
    write_csv(folder / "accounts.csv", "id name segment vat domain", accounts)
    write_csv(folder / "customers.csv", "no vat credit name", [["007", "DE11", 500, "ACME"], ["008", "", 9, "CASH"]])
    orders = [["SO-1", "007", "SO-3"], ["SO-2", "008", ""], ["SO-3", "007", "SO-1"], ["SO-4", "007", "SO-4"]]
    write_csv(folder / "orders.csv", "no customer after", orders)
    tickets = [
        ["T1", "x@ACME.example", "SO-1 late, SO-3 too"],
        ["T2", "y@bolt.example", "hello"],
        ["T3", "z@else.example", "SO-9"],
    ]
    write_csv(folder / "tickets.csv", "no mail subject", tickets)


def picture(desk: Desk) -> dict[str, tuple[dict[str, str], dict[str, list[str]]]]:
    """The graph by keys instead of ids: values and links."""
    found = {}
    labels = {}
    for cls, key in (("Customer", "accountId"), ("Order", "orderNo"), ("Ticket", "ticketNo")):
        for entity in desk.store.find(cls, first=1000).items:
            labels[entity.id] = str(entity.get(key) or entity.get("customerNo"))
    for entity in desk.store.get(list(labels)).values():
        links = {
            r: sorted(labels[x] for x in desk.ends(entity.id, r)) for r in ("placedBy", "follows", "about", "mentions")
        }
        values = {name: value for name, value in entity.properties.items() if name != "name"}
        found[labels[entity.id]] = ({name: str(value) for name, value in values.items()}, links)
    return found


@pytest.mark.parametrize("order", list(itertools.permutations(SYSTEMS)))
def test_any_order_of_the_systems_gives_the_same_graph(desk: Desk, order: tuple[str, ...]) -> None:
    fill(desk.folder)
    for _ in range(2):
        for system in order:
            report = desk.run(SYSTEMS[system])
            assert report.rejected == 0
    found = picture(desk)
    assert set(found) == {"C-1", "C-2", "008", "SO-1", "SO-2", "SO-3", "SO-4", "T1", "T2", "T3"}
    assert (found["C-1"][0]["customerNo"], found["C-1"][0]["segment"]) == ("007", "A")
    links = {name: value[1] for name, value in found.items()}
    assert links["SO-1"] == {"placedBy": ["C-1"], "follows": ["SO-3"], "about": [], "mentions": []}
    assert links["SO-4"]["follows"] == ["SO-4"]
    assert links["T1"] == {"placedBy": [], "follows": [], "about": ["C-1"], "mentions": ["SO-1", "SO-3"]}
    assert links["T2"]["about"] == ["C-2"]
    waiting = sorted(reject["target"] for reject in desk.rejects())
    assert waiting == ["Customer domain else.example", "Order orderNo SO-9"]
    assert desk.run(DESK).dangling == 2
    assert not desk.store.scan("relink")


def test_the_last_writer_of_a_shared_property_counts_until_it_leaves(desk: Desk) -> None:
    fill(desk.folder)
    desk.run(CRM)
    desk.run(ERP)
    acme = desk.all("Customer", "accountId")["C-1"]
    assert acme["name"] == "ACME"
    write_csv(desk.folder / "customers.csv", "no vat credit name", [])
    report = desk.run(ERP)
    assert report.closed == 1
    assert "008" not in desk.all("Customer", "customerNo")
    now = desk.store.get([acme.id])[acme.id]
    assert now.get("creditLimit") is None
    assert now.get("customerNo") is None
    desk.run(CRM)
    assert desk.store.get([acme.id])[acme.id]["name"] == "Acme GmbH"
    write_csv(desk.folder / "accounts.csv", "id name segment vat domain", [])
    assert desk.run(CRM).closed == 2
    assert not desk.store.get([acme.id])
    fill(desk.folder)
    desk.run(ERP)
    desk.run(CRM)
    back = desk.store.get([acme.id])[acme.id]
    assert (back["name"], back["customerNo"]) == ("Acme GmbH", "007")
    assert len(desk.store.expand([acme.id], "placedBy", Direction.IN)[acme.id]) == 3


def test_a_value_that_one_source_drops_stays_while_another_gives_it(desk: Desk) -> None:
    fill(desk.folder)
    desk.run(ERP)
    desk.run(CRM)
    write_csv(desk.folder / "customers.csv", "no vat credit name", [["007", "DE11", "", ""], ["008", "", 9, "CASH"]])
    desk.run(ERP)
    acme = desk.all("Customer", "customerNo")["007"]
    assert acme["name"] == "Acme GmbH"
    assert acme.get("creditLimit") is None


def test_an_alias_of_another_entity_is_kept_aside(desk: Desk) -> None:
    fill(desk.folder)
    desk.run(CRM)
    write_csv(desk.folder / "customers.csv", "no vat credit name", [["007", "", 500, "ACME"]])
    desk.run(ERP)
    write_csv(desk.folder / "customers.csv", "no vat credit name", [["007", "DE11", 600, "ACME"]])
    assert desk.run(ERP).updated == 1
    reasons = [r["reason"] for r in desk.rejects() if "alias" in r["reason"]]
    assert len(reasons) == 1
    assert "merge them" in reasons[0]
    assert len(desk.all("Customer", "name")) == 3


def test_a_relation_that_changes_ends_the_old_one(desk: Desk) -> None:
    fill(desk.folder)
    desk.run(ERP)
    write_csv(desk.folder / "orders.csv", "no customer after", [["SO-1", "008", ""], ["SO-2", "", ""]])
    desk.run(ERP)
    orders = desk.all("Order", "orderNo")
    assert len(desk.ends(orders["SO-1"].id, "placedBy")) == 1
    assert desk.ends(orders["SO-1"].id, "placedBy") == [desk.all("Customer", "customerNo")["008"].id]
    assert desk.ends(orders["SO-1"].id, "follows") == []
    assert desk.ends(orders["SO-2"].id, "placedBy") == []


def test_a_dangling_relation_that_is_withdrawn_is_not_waited_for(desk: Desk) -> None:
    fill(desk.folder)
    desk.run(DESK)
    before = len(desk.rejects())
    write_csv(
        desk.folder / "tickets.csv", "no mail subject", [["T1", "x@acme.example", "x"], ["T2", "", ""], ["T3", "", ""]]
    )
    report = desk.run(DESK.replace('split("@")[1] | ascii_downcase', 'if . == "" then null else split("@")[1] end'))
    assert before == 6
    assert report.dangling == 1


@pytest.mark.parametrize("seed", range(3))
def test_two_ingests_at_once_make_one_entity_a_key(tmp_path: Path, seed: int) -> None:
    ontology = company()
    write_csv(
        tmp_path / "accounts.csv",
        "id name segment vat domain",
        [[f"C-{i}", "n", "A", f"V{i}", f"d{i}"] for i in range(300)],
    )
    write_csv(tmp_path / "customers.csv", "no vat credit name", [[f"{i}", f"V{i}", 1, "m"] for i in range(300)])
    write_csv(tmp_path / "orders.csv", "no customer after", [[f"SO-{i}", f"{i % 300}", ""] for i in range(400)])
    (tmp_path / "crm.yaml").write_text(CRM)
    (tmp_path / "erp.yaml").write_text(ERP)
    errors: list[Exception] = []

    def work(name: str, number: int) -> None:
        # A store of its own, as another process would have.
        store = SqliteStore(tmp_path / "graph.db", ontology, ManualClock(seed=10 * seed + number), durable=False)
        try:
            ingest(
                store, ontology, ManualClock(seed=1000 + 10 * seed + number), load_mapping(tmp_path / name), tmp_path
            )
        except Exception as error:
            errors.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=work, args=(name, i)) for i, name in enumerate(["crm.yaml", "erp.yaml"] * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    store = SqliteStore(tmp_path / "graph.db", ontology, ManualClock())
    customers = store.find("Customer", first=1000).items
    keys = [customer.get("accountId") for customer in customers]
    assert len([key for key in keys if key]) == len({key for key in keys if key}) == 300
    assert len(customers) == 300
    assert len(store.find("Order", first=1000).items) == 400
    assert all(store.expand([c.id for c in customers], "placedBy", Direction.IN).values())
    store.close()
