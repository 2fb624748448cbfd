"""Saga: all happens, or what happened is undone in reverse, each once, whenever the process dies."""

from typing import Any

from coordination.compensation import decide
from coordination.errors import GiveUp
from coordination.patterns.about import About
from coordination.patterns.saga import Act, Saga, saga
from tests.coordination.plant import Telling
from tests.patterns.team import ANNA, Team, rest, same_after_crashes, says, team


def told(name: str) -> dict[str, Any]:
    """An outside effect that declares what undoes it."""
    undo = {"operation": f"{name}.cancel", "payload": {"what": f"cancel {name}"}}
    return {
        "operation": f"{name}.book",
        "effector": "telling",
        "payload": {"what": name, "of": "${ .trip }", "undo": undo},
    }


TRIP = (
    Act("hotel", told("hotel")),
    Act("note", {"operation": "note.set", "target": "c-1", "class": "Customer", "set": {"note": "travels"}}),
    Act("flight", told("flight")),
)


class World(Telling):
    """Notes what it was told in words, and refuses what it is told to refuse."""

    refuse: str = ""
    words: list[str]

    def act(self, effect: Any) -> Any:
        if effect.payload.get("what") == self.refuse:
            raise GiveUp("sold out")
        if effect.key not in self.told:
            self.words.append(effect.payload["what"])
        return super().act(effect)


def world(refuse: str = "") -> World:
    made = World()
    made.refuse, made.words = refuse, []
    return made


def document(*acts: Act) -> Any:
    return saga(Saga(About("trip"), acts or TRIP))


def test_all_of_it_happens() -> None:
    outside = world()
    with team(effectors=[outside]) as here:
        here.put("c-1", "Customer", name="Ann")
        here.start(document(), {"trip": 7})
        output = here.output()
        assert output["state"] == "done"
        assert [act["act"] for act in output["done"]] == ["hotel", "note", "flight"]
        assert outside.words == ["hotel", "flight"]
        assert here.store.get(["c-1"])["c-1"]["note"] == "travels"
        assert not here.found("Compensation")


def test_what_happened_is_undone_the_last_first() -> None:
    outside = world("flight")
    with team(effectors=[outside]) as here:
        here.put("c-1", "Customer", name="Ann", note="before")
        here.start(document(), {"trip": 7})
        rest(here)
        output = here.output()
        assert output["state"] == "compensated"
        assert "sold out" in output["error"]["detail"]
        (made,) = here.store.versions([(here.found("Compensation")[0].id, 1)]).values()
        assert made["reason"] == "compensates: sold out"
        assert outside.words == ["hotel", "cancel hotel"]
        assert here.store.get(["c-1"])["c-1"]["note"] == "before"
        effects = {effect.id: effect for effect in here.found("Effect")}
        assert [effects[id]["operation"] for id in output["undone"]] == ["note.set", "hotel.book"]
        assert [act["act"] for act in output["done"]] == ["hotel", "note"]
        assert all(effects[id]["status"] == "compensated" for id in output["undone"])


def test_an_effect_that_is_denied_is_undone_too() -> None:
    outside = world()
    with team(effectors=[outside]) as here:
        gift = Act("gift", {"operation": "gift", "effector": "telling", "payload": {"what": "gift"}})
        here.start(document(TRIP[0], gift), {"trip": 7})
        rest(here)
        assert here.output()["error"]["title"] == "Denied"
        assert outside.words == ["hotel", "cancel hotel"]


def test_a_gate_may_end_it_before_anything_happens() -> None:
    outside = world()
    act = Act("hotel", told("hotel"), gate="controller")
    with team({"controller": says({"go": False, "reason": "no budget"})}, effectors=[outside]) as here:
        here.start(document(act), {"trip": 7})
        output = here.output()
        assert (output["state"], output["done"], outside.words) == ("compensated", [], [])
    with team({"controller": says({"go": True})}, effectors=[outside]) as here:
        here.start(document(act), {"trip": 7})
        assert here.output()["state"] == "done"


def test_an_act_may_be_tried_again() -> None:
    outside = world("hotel")
    with team(effectors=[outside]) as here:
        here.start(document(Act("hotel", told("hotel"), retries=2)), {"trip": 7})
        outside.refuse = ""
        rest(here)
        assert here.output()["state"] == "done"
        assert outside.words == ["hotel"]


def test_an_undoing_that_cannot_be_done_waits_for_a_person() -> None:
    outside = world("flight")
    plain = {"operation": "hotel.book", "effector": "telling", "payload": {"what": "hotel"}}
    with team(effectors=[outside]) as here:
        here.start(document(Act("hotel", plain), TRIP[2]), {"trip": 7})
        rest(here)
        assert here.state() == "waiting"
        (stuck,) = here.found("Compensation")
        assert stuck["state"] == "stuck"
        decide(here.store, here.clock, stuck.id, "undone", 'User::"anna"', "called the hotel")
        rest(here)
        assert here.output()["state"] == "compensated"


def test_the_same_after_a_crash_at_any_commit() -> None:
    outside: list[World] = []

    def make() -> Any:
        outside.append(world("flight"))
        return team(effectors=[outside[-1]])

    def once(here: Team) -> None:
        assert outside[-1].words == ["hotel", "cancel hotel"], (
            "I3: an effect or its undoing happened twice, or not at all"
        )
        assert len(here.found("Compensation")) == 1

    def drive(here: Team) -> None:
        """Who died while it was refused cannot know that: the effect is in doubt, and a person says it did not happen."""
        rest(here)
        for effect in here.found("Effect", status="in_doubt"):
            here.runtime.resolve(effect.id, False, ANNA, "asked the airline")
        rest(here)

    def same(output: Any) -> Any:
        return [output["state"], output["undone"], [act["act"] for act in output["done"]]]

    same_after_crashes(make, document(TRIP[0], TRIP[2]), {"trip": 7}, drive=drive, check=once, every=2, seen=same)


def test_an_act_sees_what_was_done_before_it_and_the_input_as_it_came() -> None:
    outside = world()
    second = told("flight") | {"payload": {"what": '${ .done[0].act + " for " + (.trip | tostring) }'}}
    with team(effectors=[outside]) as here:
        here.start(document(Act("hotel", told("hotel")), Act("flight", second)), {"trip": 7})
        assert here.output()["state"] == "done"
        assert outside.words == ["hotel", "hotel for 7"]


def test_what_the_rules_deny_is_not_tried_again_and_a_gate_is_asked_once() -> None:
    gift = Act("gift", {"operation": "gift", "target": "c-1", "set": {"note": "x"}}, retries=3)
    with team() as here:
        here.put("c-1", "Customer", name="Ann")
        here.start(document(gift), {})
        assert here.output()["state"] == "compensated"
        assert len(here.found("Proposal")) == 1
    with team({"guard": says({"go": False})}) as here:
        here.put("c-1", "Customer", name="Ann")
        here.start(document(Act("note", TRIP[1].effect, gate="guard")), {})
        assert here.output()["state"] == "compensated"
        assert len(here.found("AgentAnswer")) == 1


def test_an_act_is_tried_again_so_often_and_after_waits_that_double() -> None:
    outside = world("hotel")
    with team(effectors=[outside]) as here:
        here.start(document(Act("hotel", told("hotel"), retries=2, delay=100)), {"trip": 7})
        tried = [len(here.found("Proposal"))]
        for seconds in (99, 2, 198, 3, 1_000):
            here.later(seconds)
            tried.append(len(here.found("Proposal")))
        assert tried == [1, 1, 2, 2, 3, 3]
        assert here.output()["state"] == "compensated"


def test_an_act_behind_a_gate_gets_the_input_as_it_came() -> None:
    outside = world()
    act = Act("hotel", told("hotel") | {"payload": {"what": '${ "trip " + (.trip | tostring) }'}}, gate="controller")
    with team({"controller": says({"go": True})}, effectors=[outside]) as here:
        here.start(document(act), {"trip": 7})
        assert (here.output()["state"], outside.words) == ("done", ["trip 7"])
