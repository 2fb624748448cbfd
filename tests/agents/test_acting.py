"""The context and the acting port: determinism, pinning, evidence, governance, loading."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import cast

import pytest

from agents.acting import Loaded, LocalActing
from agents.context import Context
from agents.errors import AgentError, AgentFaultError
from agents.loading import check_wakes, load_agents
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Cause, Change, Entity, Input, Link, Put
from kg.ontology import load
from tests.oracles.graph import DictStore
from tests.parts import FreeSchema, ManualClock, OpenView


@dataclass(frozen=True)
class Orders:
    name: str = "orders"
    version: str = "1"
    department: str = "sales"
    capabilities: tuple[str, ...] = ("order.flag",)
    wakes: tuple[Wake, ...] = (Wake("Customer"),)
    priority: int = 3
    cite: tuple[Input, ...] | None = None
    operation: str = "order.flag"

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        edges = context.expand(entity.id, "orders")
        cited = context.evidence(entity, *(edge.entity for edge in edges)) if self.cite is None else self.cite
        new = context.new_id()
        return [
            Draft(self.operation, entity.id, (Put(new, "Flag", {"of": edge.entity.id}),), evidence=cited)
            for edge in edges
        ]


@dataclass(frozen=True)
class Handing(Orders):
    handed: object = None

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        return cast(Sequence[Draft], self.handed)


class Exiting(Orders):
    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        sys.exit(3)


class HidingView(OpenView):
    def see(self, entities: Sequence[Entity]) -> list[Entity | None]:
        return [None if entity.id == "o2" else entity for entity in entities]


class BlindView(OpenView):
    def see(self, entities: Sequence[Entity]) -> list[Entity | None]:
        return [None for _ in entities]


@pytest.fixture
def store() -> DictStore:
    store = DictStore(FreeSchema(), ManualClock())
    store.commit(
        [
            Put("c1", "Customer", {"name": "A"}),
            Put("o1", "Order", {"n": 1}),
            Put("o2", "Order", {"n": 2}),
            Link("c1", "orders", "o1"),
            Link("c1", "orders", "o2"),
        ],
        Cause("1", "ingest", 'Service::"ingest"'),
    )
    return store


def acting(store: DictStore, agent: Orders = Orders(), view: OpenView | None = None) -> LocalActing:
    return LocalActing(store, {agent.name: Loaded(agent, "d")}, lambda name: view or OpenView())


def act(store: DictStore, on: LocalActing, at: int = 5) -> tuple[tuple[Draft, ...], tuple[Input, ...], str]:
    drafts, record = on.act("orders", store.changes(0)[0], store.get(["c1"])["c1"], at)
    return drafts, record.read, record.hash


def test_acting_again_gives_the_same_drafts_ids_and_hash(store: DictStore) -> None:
    assert act(store, acting(store)) == act(store, acting(store))


def test_the_context_is_pinned_and_later_changes_are_not_seen(store: DictStore) -> None:
    before = act(store, acting(store))
    store.commit([Put("o1", "Order", {"n": 9})], Cause("2", "ingest", 'Service::"ingest"'))
    assert act(store, acting(store)) == before
    assert Input("o1", 2) in act(store, acting(store), at=6)[1]


def test_everything_handed_out_is_on_record(store: DictStore) -> None:
    _, read, _ = act(store, acting(store))
    assert read == (Input("c1", 1), Input("o1", 1), Input("o2", 1))


def test_the_agent_reads_through_its_view(store: DictStore) -> None:
    drafts, read, _ = act(store, acting(store, view=HidingView()))
    assert len(drafts) == 1
    assert Input("o2", 1) not in read


def test_an_agent_that_may_not_see_what_wakes_it_says_so_once(
    store: DictStore, caplog: pytest.LogCaptureFixture
) -> None:
    on = acting(store, view=BlindView())
    assert [act(store, on)[0] for _ in range(3)] == [(), (), ()]
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("agent orders was woken on a Customer that it may not see")
    assert told.endswith('permit (principal == Agent::"orders", action == Action::"read", resource is Customer)')


def test_evidence_that_was_not_read_is_refused(store: DictStore) -> None:
    agent = replace(Orders(), cite=(Input("o2", 7),))
    with pytest.raises(AgentError, match="did not read"):
        act(store, acting(store, agent))


def test_an_operation_that_is_not_declared_is_refused(store: DictStore) -> None:
    with pytest.raises(AgentError, match="does not declare"):
        act(store, acting(store, replace(Orders(), operation="order.delete")))


@pytest.mark.parametrize(
    ("handed", "says"),
    [
        (None, "NoneType"),
        (5, "int"),
        (["x"], "str"),
        ((Draft("order.flag", "c1", confidence=cast(Decimal, 0.5)) for _ in range(2)), "float as confidence"),
        ((Draft("order.flag", "c1") for _ in count()), "more than 100"),
    ],
)
def test_what_is_no_draft_is_one_sentence_and_what_never_ends_is_cut(
    store: DictStore, handed: object, says: str
) -> None:
    with pytest.raises(AgentError, match=says):
        act(store, acting(store, Handing(handed=handed)))


def test_an_agent_cannot_end_the_process(store: DictStore) -> None:
    with pytest.raises(AgentFaultError, match="end the process"):
        act(store, acting(store, Exiting()))


def test_a_wake_on_an_unknown_class_is_refused() -> None:
    prefixes = "@prefix : <urn:x#> . @prefix owl: <http://www.w3.org/2002/07/owl#> . @prefix n: <urn:noesis:ns#> . "
    prefixes += (
        "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> . "
    )
    classes = ":Customer a owl:Class . :name a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string ."
    words = load({"o.ttl": prefixes + classes})
    check_wakes({"orders": Loaded(Orders(), "d")}, words)
    with pytest.raises(AgentError, match=r"'Ghost'.*Customer"):
        check_wakes({"orders": Loaded(replace(Orders(), wakes=(Wake("Ghost"),)), "d")}, words)


def whole(part: str) -> str:
    """A module whose agent is in order but for one part."""
    lines = ("name = 'a'", "version = '1'", "department = 'd'", "capabilities = ()", "wakes = ()", "priority = 0")
    body = "\n    ".join((*lines, "act = print", part))
    return f"class A:\n    {body}\nAGENTS = (A(),)"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("x = 1", "no AGENTS"),
        ("raise ValueError('boom')", "boom"),
        ("def (", "SyntaxError"),
        ("class A:\n    name = 'a'\nAGENTS = (A(),)", "lacks"),
        ("import sys; sys.exit(3)", "SystemExit"),
        (whole("name = 5"), "name of A"),
        (whole("wakes = 5"), "wakes of A"),
        (whole("wakes = ('Item',)"), "wakes of A"),
        (whole("priority = 'high'"), "priority of A"),
        (whole("version = 1"), "version of A"),
        (whole("department = None"), "department of A"),
        (whole("capabilities = 'x'"), "capabilities of A"),
        (whole("act = None"), "act of A"),
        (whole("@property\n    def wakes(self): raise ValueError('no')"), "cannot be read"),
    ],
)
def test_a_module_that_cannot_be_used_is_one_sentence(tmp_path: Path, source: str, says: str) -> None:
    file = tmp_path / "agents.py"
    file.write_text(source)
    with pytest.raises(AgentError, match=says):
        load_agents([file])


def test_a_path_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"noesis\.toml"):
        load_agents([tmp_path / "nothing.py"])
