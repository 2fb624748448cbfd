"""Circuit breakers: the rate that trips, the pause on record with its figures, and that nothing lifts it but a person."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from coordination.breakers import Breaker, Breakers, open_trips
from coordination.proposals import Draft
from coordination.wakes import Wake
from governance.controls import control_id, standing
from kg.errors import StoreError
from kg.model import Change, Entity, Put
from kg.store import GraphStore, Request
from tests.coordination.plant import Plant, card, plant

GIFTS = Breaker("denials", Decimal("0.5"), 600, at_least=4)


def giver(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    """Gifts are denied, notes are applied; the note says which."""
    operation = "gift" if entity["note"] == "gift" else "note.add"
    return [Draft(operation, entity.id, (Put(entity.id, "Ticket", {"note": "done"}),))]


def made(*notes: str) -> tuple[Plant, Breakers]:
    p = plant([card("giver", Wake("Ticket", on=frozenset({"created"})))], {"giver": giver})
    breakers = Breakers(p.store, p.clock, [GIFTS])
    breakers.step()
    happen(p, *notes)
    return p, breakers


def happen(p: Plant, *notes: str) -> None:
    for note in notes:
        p.put(Put(p.clock.id(), "Ticket", {"note": note}))
        p.run()


def test_too_many_denials_pause_the_agent_with_the_figures_on_record() -> None:
    p, breakers = made("gift", "note", "gift", "gift")
    breakers.step()
    assert standing(p.store, ["agent:giver"]).held == "control agent:giver (pause)"
    (trip,) = p.store.find("Trip").items
    figures = json.loads(str(trip["figures"]))
    assert figures == {
        "measure": "denials", "value": "0.7500", "limit": "0.5", "hits": 3, "ended": 4, "seconds": 600,
    }  # fmt: skip
    control = p.store.get([control_id("agent:giver")])[control_id("agent:giver")]
    assert (control["setBy"], control["reason"]) == ('Service::"breaker"', trip["reason"])
    assert trip.since > 0
    assert p.store.changes(trip.since - 1, 1)[0].cause == p.store.changes(control.since - 1, 1)[0].cause
    assert [t.id for t in open_trips(p.store)] == [trip.id]


def test_nothing_trips_below_the_limit_or_with_too_few_or_too_old() -> None:
    for notes in (("gift", "note"), ("gift", "gift", "note", "note"), ("gift", "gift", "gift")):
        p, breakers = made(*notes)
        breakers.step()
        assert not standing(p.store, ["agent:giver"]).held, notes
    p, breakers = made("gift", "gift", "gift")
    p.clock.advance(601)
    happen(p, "gift")
    breakers.step()
    assert not standing(p.store, ["agent:giver"]).held


@pytest.mark.parametrize("seconds", [1, 10_000])
def test_a_trip_stays_until_a_person_lets_go_and_counts_anew_then(seconds: int) -> None:
    """Also where what tripped it still lies within the time that is looked at."""
    p, breakers = made("gift", "gift", "gift", "gift")
    breakers.step()
    p.clock.advance(seconds)
    breakers.step()
    assert standing(p.store, ["agent:giver"]).held
    p.resume("agent:giver")
    assert open_trips(p.store) == []
    p.clock.advance(1)
    happen(p, "gift", "note", "note", "note")
    breakers.step()
    assert not standing(p.store, ["agent:giver"]).held


def test_two_processes_count_each_proposal_once() -> None:
    p, breakers = made("gift", "note", "note")
    other = Breakers(p.store, p.clock, [GIFTS])
    breakers.step()
    other.step()
    (row,) = (row for row in p.store.scan("breaker") if row.key == "agent:giver")
    assert [state for _, state, _ in row.value["ended"]] == ["denied", "applied", "applied"]


@pytest.mark.parametrize(
    "breaker", [Breaker("errors", Decimal("0.5"), 600, at_least=1), Breaker("cost", Decimal(1), 600)]
)
def test_another_measure_does_not_trip_on_denials(breaker: Breaker) -> None:
    p, breakers = made("gift", "gift", "gift", "gift")
    breakers.declared = [breaker]
    breakers.step()
    assert p.store.find("Trip").items == ()


class KilledError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("fault", [KilledError(), StoreError("busy")])
def test_a_trip_that_broke_off_is_made_by_the_next_look(fault: BaseException) -> None:
    p, breakers = made("gift", "note", "gift", "gift")
    commit_many = p.store.commit_many

    def breaking(requests: Sequence[Request]) -> Any:
        if any(isinstance(write, Put) and write.cls == "Trip" for request in requests for write in request.writes):
            p.store.commit_many = commit_many
            raise fault
        return commit_many(requests)

    p.store.commit_many = breaking
    with pytest.raises(type(fault)):
        breakers.step()
    Breakers(p.store, p.clock, [GIFTS]).step()
    assert standing(p.store, ["agent:giver"]).held == "control agent:giver (pause)"
    assert len(p.store.find("Trip").items) == 1
