"""KPIs: every figure against numbers worked out by hand, on facts that really running workflows and agents left."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from coordination.acting import AgentCard
from coordination.agent_kpis import agent_kpis
from coordination.errors import MeasureError
from coordination.kpis import Asked, Figures, Incident, Report, Transaction, figures, workflow_kpis, workflows
from coordination.measures import Measure, measure_of
from coordination.proposals import Draft
from coordination.runs.engine import Workflows
from coordination.wakes import Wake
from coordination.workflow.document import of_body
from governance.approvals import approve
from governance.principals import load_principal
from governance.rules import load_rules
from kg.model import Change, Entity, Put
from kg.store import GraphStore
from tests.coordination.plant import AUTHOR, RULES, plant
from tests.runs.works import Works, works

SUCCESS = {
    "metric": "sla_adherence", "target": 0.5, "sla": "PT100S", "baseline": {"hours": 2}, "attended": {"minutes": 6},
    "price": {"value": "0.5", "currency": "EUR"},
}  # fmt: skip


def body(do: Sequence[Any], success: Any = SUCCESS, name: str = "close", **more: Any) -> dict[str, Any]:
    about = {"dsl": "1.0.3", "namespace": "test", "name": name, "version": "1.0.0"}
    return {
        "document": about | ({"metadata": {"success": success}} if success is not None else {}),
        "do": list(do),
        **more,
    }


def test_the_formulas_on_made_up_transactions() -> None:
    measure = Measure("sla_adherence", Decimal("0.5"), 100.0, 7_200.0, 360.0, Decimal("0.5"), "EUR")
    made = [
        Transaction(True, False, 50.0, Asked(1, 2, 0), 1_000),
        Transaction(True, False, 150.0, Asked(1, 1, 1), 3_000, (Incident(10.0, 40.0),)),
        Transaction(False, True, 30.0, incidents=(Incident(20.0, None),)),
        Transaction(False, False, None),
    ]
    found = figures(made, measure)
    assert found == {
        "completion_rate": pytest.approx(2 / 3), "error_rate": pytest.approx(1 / 3),
        "cycle_time_seconds": 100.0, "cycle_time_p95_seconds": 150.0,
        "mttd_seconds": 15.0, "mttr_seconds": 40.0, "incidents": 2.0, "incidents_open": 1.0,
        "sla_adherence": pytest.approx(1 / 3), "escalations": 2.0, "escalation_rate": 0.5,
        "approval_rate": 0.75, "tokens_per_transaction": 2_000.0, "cost_per_transaction": 1.0,
        "hours_saved": pytest.approx(2 * 2 - 4 * 0.1),
    }  # fmt: skip
    assert Report("x", 4, found, measure).met is False
    assert Report("x", 4, found, replace(measure, target=Decimal("0.3"))).met is True
    assert Report("x", 4, found, replace(measure, metric="error_rate")).met is True
    many = figures([Transaction(True, False, float(seconds)) for seconds in range(1, 21)], measure)
    assert many["cycle_time_p95_seconds"] == 19.0
    empty = figures([], measure)
    assert [name for name, value in empty.items() if value not in (None, 0.0)] == []
    assert Report("x", 0, empty, measure).met is None
    assert figures(made, None)["hours_saved"] is None


class Fault:
    """A function that fails while told to."""

    broken = True

    def __call__(self) -> str:
        if self.broken:
            raise ValueError("broken")
        return "ok"


def triple(found: Figures, *names: str) -> Any:
    return tuple(found[name] for name in names)


def test_the_figures_of_a_workflow_that_ran() -> None:
    """Three runs: of 20 s, approved after 200 s, and one that faults after 30 s, is retried 70 s later and completes at once."""
    fault = Fault()
    wait, long = {"wait": {"seconds": 20}}, {"wait": {"seconds": 30}}
    cases = [
        {"a": {"when": '${ .kind == "approved" }', "then": "ask"}},
        {"b": {"when": '${ .kind == "faulty" }', "then": "slow"}},
        {"c": {"then": "quick"}},
    ]
    do = [
        {"which": {"switch": cases}},
        {"quick": {**wait, "then": "end"}},
        {"ask": {"call": "approve", "with": {"approvers": {"managers": 1}}, "then": "end"}},
        {"slow": {**long, "then": "break"}},
        {"break": {"call": "break"}},
    ]  # fmt: skip
    with works(Workflows(functions={"break": fault})) as here:
        workflow = here.engine.register(of_body(body(do)), AUTHOR, ("agents",))
        assert workflows(here.store) == ["test.close"]
        assert workflow_kpis(here.store, here.engine.definitions, "test.close").figures["completion_rate"] is None
        began = here.clock.now()
        quick = here.engine.start(workflow, {"kind": "quick"}, 'User::"anna"')
        asking = here.engine.start(workflow, {"kind": "approved"}, 'User::"ben"')
        faulty = here.engine.start(workflow, {"kind": "faulty"}, 'User::"anna"')
        here.engine.start(workflow, {"kind": "quick"}, 'User::"anna"', sandbox=True)
        here.drain()
        here.later(20)
        here.later(10)
        assert here.run(faulty).state == "faulted"
        fault.broken = False
        here.later(70)
        here.engine.retry(faulty, 'User::"anna"')
        here.drain()
        here.later(100)
        answer(here)
        here.drain()
        assert [here.run(id).state for id in (quick, asking, faulty)] == ["completed"] * 3
        report = workflow_kpis(here.store, here.engine.definitions, "test.close")
        found = report.figures
        assert report.transactions == 3
        assert found["completion_rate"] == 1.0
        assert found["error_rate"] == 0.0
        assert found["cycle_time_seconds"] == pytest.approx((20 + 200 + 100) / 3)
        assert found["cycle_time_p95_seconds"] == pytest.approx(200.0)
        assert found["sla_adherence"] == pytest.approx(2 / 3)
        assert (found["incidents"], found["incidents_open"]) == (1.0, 0.0)
        assert found["mttd_seconds"] == pytest.approx(0.0, abs=0.01)
        assert found["mttr_seconds"] == pytest.approx(70.0)
        assert triple(found, "escalations", "escalation_rate", "approval_rate") == (
            1.0,
            pytest.approx(1 / 3),
            1.0,
        )
        assert found["hours_saved"] == pytest.approx(3 * 2 - 0.1)
        assert (found["tokens_per_transaction"], found["cost_per_transaction"]) == (0.0, 0.0)
        assert report.met is True
        assert workflow_kpis(here.store, here.engine.definitions, "test.close:1.0.0").figures == found
        assert workflow_kpis(here.store, here.engine.definitions, "test.close", here.clock.now()).transactions == 0
        assert workflow_kpis(here.store, here.engine.definitions, "test.close", began).transactions == 3


def answer(here: Works) -> None:
    (decision,) = (d for d in here.store.find("Decision", first=100).items if d["outcome"] == "needs_approval")
    rules = load_rules(here.store, here.runtime.ontology)
    approve(here.store, here.clock, rules, decision.id, load_principal(here.store, 'User::"anna"'), "approve")


def test_the_figures_of_an_agent() -> None:
    """Applied at once, approved after 60 s, rejected after 60 s, and one that cannot be applied, repaired 60 s later."""
    ask = (
        '@id("ask") @requires("check") @approvers("managers:1") '
        'forbid(principal, action == Action::"apply", resource) when { context.operation == "ask" };'
    )
    drafts: dict[str, tuple[str, Any]] = {
        "a": ("note", "n"), "b": ("ask", "n"), "c": ("ask", "n"), "d": ("note", 5), "d2": ("note", "n"),
    }  # fmt: skip

    def act(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        operation, value = drafts[str(entity["name"])]
        return [Draft(operation, entity.id, (Put(entity.id, "Customer", {"note": value}),))]

    card = AgentCard("one", "1", None, (Wake("Customer", properties=("name",)),))
    p = plant([card], {"one": act}, rules=[*RULES, ask])
    for name in "abcd":
        p.put(Put(name, "Customer", {"name": name}))
    p.run()
    p.clock.advance(60)
    by_target = {str(e["target"]): e for e in p.proposals()}
    p.answer(by_target["b"].id)
    p.answer(by_target["c"].id, verdict="reject")
    p.put(Put("d", "Customer", {"name": "d2"}))
    p.run()
    report = agent_kpis(p.store, "one")
    found = report.figures
    assert sorted(str(e["state"]) for e in p.proposals()) == ["applied", "applied", "applied", "failed", "rejected"]
    assert report.transactions == 5
    assert found["completion_rate"] == pytest.approx(3 / 5)
    assert found["error_rate"] == pytest.approx(1 / 5)
    assert found["cycle_time_seconds"] == pytest.approx(60 / 3)
    assert triple(found, "escalations", "escalation_rate", "approval_rate") == (2.0, pytest.approx(2 / 5), 0.5)
    assert triple(found, "mttd_seconds", "mttr_seconds") == (0.0, pytest.approx(60.0))
    assert (found["hours_saved"], found["sla_adherence"], report.met) == (None, None, None)
    assert agent_kpis(p.store, "nobody").transactions == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"metric": "luck", "target": 1}, {"metric": "error_rate"}, {"metric": "error_rate", "target": "x"},
        {"metric": "error_rate", "target": True}, {"metric": "error_rate", "target": -1}, "much",
        {"metric": "error_rate", "target": 0, "sla": "soon"}, {"metric": "error_rate", "target": 0, "price": 3},
        {"metric": "error_rate", "target": 0, "bonus": 3}, {"metric": "error_rate", "target": "NaN"},
    ],
)  # fmt: skip
def test_a_measure_that_cannot_be_used_is_refused(wrong: Any) -> None:
    with pytest.raises(MeasureError):
        measure_of(of_body(body([], wrong)))


def test_a_schedule_is_not_activated_without_a_measure_where_one_is_asked_for() -> None:
    do = [{"x": {"set": {"a": 1}}}]
    for measured, success, refused in ((True, None, True), (True, SUCCESS, False), (False, None, False)):
        with works(Workflows(measured=measured)) as here:
            made = of_body(body(do, success, schedule={"every": {"hours": 1}}))
            workflow = here.engine.register(made, AUTHOR, ("agents",))
            if refused:
                with pytest.raises(MeasureError, match="declares no measure"):
                    here.engine.activate(workflow, 'User::"anna"')
                assert not here.store.scan("schedule")
            else:
                here.engine.activate(workflow, 'User::"anna"')
                assert here.store.scan("schedule")
