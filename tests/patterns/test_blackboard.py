"""Blackboard: sources add through proposals until none adds more; what is refused never reaches the board; rounds are bounded."""

from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any, cast

from coordination.acting import Answer, Assignment
from coordination.patterns.about import About
from coordination.patterns.asking import Person
from coordination.patterns.blackboard import Blackboard, blackboard
from coordination.proposals import Draft
from coordination.runs.engine import Workflows
from kg.model import Entity, Input, Put
from tests.coordination.plant import AUTHOR, number
from tests.parts import OpenView
from tests.patterns.team import CLEO, Team, answered, asked, same_after_crashes, says, team

SOURCES = ("namer", "counter", "teller")


def adds(entity: Entity, **properties: Any) -> list[Draft]:
    write = Put(entity.id, entity.cls, properties)
    return [Draft("board.write", entity.id, (write,), evidence=(Input(entity.id, entity.version),))]


def namer(_: Any, board: Entity, *__: Any) -> Sequence[Draft]:
    return adds(board, name="pump") if board.get("name") is None else ()


def counter(_: Any, board: Entity, *__: Any) -> Sequence[Draft]:
    """Knows something only once the last one spoke."""
    return adds(board, stock=len(str(board["note"]))) if board.get("note") and board.get("stock") is None else ()


def teller(_: Any, board: Entity, *__: Any) -> Sequence[Draft]:
    return adds(board, note=f"a {board['name']}") if board.get("name") and board.get("note") is None else ()


ACTS: dict[str, Any] = {"namer": namer, "counter": counter, "teller": teller}


def document(**more: Any) -> Any:
    return blackboard(Blackboard(About("board"), SOURCES, **more))


def begun(here: Team, **more: Any) -> Team:
    here.put("b-1", "Product", onOrder=0)
    here.start(document(**more), {"board": "b-1"})
    return here


def test_it_converges_where_nobody_adds_more() -> None:
    with team(acts=ACTS) as here:
        output = begun(here).output()
        board = here.store.get(["b-1"])["b-1"]
        assert (board["name"], board["note"], board["stock"]) == ("pump", "a pump", 6)
        assert (output["converged"], output["rounds"], output["applied"], output["refused"]) == (True, 3, 3, 0)
        assert [(entry["round"], entry["source"]) for entry in output["log"]] == [
            (0, "namer"),
            (0, "teller"),
            (1, "counter"),
        ]


def test_the_board_is_written_through_proposals_alone() -> None:
    with team(acts=ACTS) as here:
        begun(here)
        proposals = here.found("Proposal")
        assert [(p["agent"], p["state"]) for p in proposals] == [
            ("namer", "applied"),
            ("teller", "applied"),
            ("counter", "applied"),
        ]
        assert len(here.store.history("b-1")) == 4, "one version a proposal, besides the first"


def test_what_is_refused_never_reaches_the_board() -> None:
    def gift(_: Any, board: Entity, *__: Any) -> Sequence[Draft]:
        return (
            [Draft("gift", board.id, (Put(board.id, board.cls, {"note": "mine"}),))]
            if board.get("note") is None
            else ()
        )

    with team(acts={**ACTS, "teller": gift}) as here:
        output = begun(here).output()
        assert here.store.get(["b-1"])["b-1"].get("note") is None
        assert (output["converged"], output["applied"], output["refused"]) == (True, 1, 2)


def endless(_: Any, board: Entity, *__: Any) -> Sequence[Draft]:
    return adds(board, onOrder=number(board, "onOrder") + 1)


def test_the_rounds_are_bounded() -> None:
    with team(acts={**ACTS, "counter": endless}) as here:
        assert begun(here, rounds=4).error()["title"] == "Not Converged"
        assert here.store.get(["b-1"])["b-1"]["onOrder"] == 4
    person = Person({"managers": 1}, "Take the board as it is", "it still changes")
    with team(acts={**ACTS, "counter": endless}) as here:
        begun(here, rounds=2, person=person).decide()
        assert here.output()["converged"] is False


def test_a_goal_ends_it() -> None:
    with team(acts={**ACTS, "counter": endless}, workflows=Workflows(views=lambda _: OpenView())) as here:
        output = begun(here, goal="${ .onOrder >= 2 }").output()
        assert (output["reached"], output["converged"], output["rounds"]) == (True, False, 2)


def test_a_controller_chooses_who_looks() -> None:
    def control(assignment: Assignment) -> Answer:
        round_ = assignment.data["rounds"]
        return answered({"sources": [["namer"], ["teller"], ["counter"]][round_] if round_ < 3 else list(SOURCES)})

    with team({"control": control}, acts=ACTS) as here:
        output = begun(here, control="control").output()
        assert (output["rounds"], output["applied"]) == (4, 3)
        assert [(entry["round"], entry["source"]) for entry in output["log"]] == [
            (0, "namer"),
            (1, "teller"),
            (2, "counter"),
        ]
    with team({"control": says({"sources": ["root"]})}, acts=ACTS) as here:
        assert begun(here, control="control").error()["title"] == "Poor Answer"


def test_a_round_that_passed_some_over_is_no_proof_that_nobody_has_more() -> None:
    def control(assignment: Assignment) -> Answer:
        round_ = assignment.data["rounds"]
        return answered({"sources": [["counter"], ["namer"], ["teller"]][round_] if round_ < 3 else list(SOURCES)})

    with team({"control": control}, acts=ACTS) as here:
        output = begun(here, control="control").output()
        assert (output["converged"], output["applied"]) == (True, 3)


def test_the_same_after_a_crash_at_any_commit() -> None:
    def placed(here: Team) -> None:
        assert len(here.found("Proposal")) == 3, "I3: something was proposed twice"

    @contextmanager
    def prepared() -> Any:
        with team(acts=ACTS) as here:
            here.put("b-1", "Product", onOrder=0)
            yield here

    output = same_after_crashes(prepared, document(), {"board": "b-1"}, check=placed, every=4)
    assert output["applied"] == 3


def test_a_source_that_failed_may_know_more_so_nothing_has_converged() -> None:
    with team(acts=ACTS) as here:
        cards: Any = here.runtime.acting.agents()
        away = {"namer": cards.pop("namer")}

        def loads(*_: Any) -> Sequence[Draft]:
            """The namer comes back while the others look."""
            cards.update(away)
            return ()

        cast(Any, here.runtime.acting).acts["counter"] = loads
        output = begun(here).output()
        assert (output["converged"], output["applied"], output["rounds"]) == (True, 2, 3)
        assert output["log"][0] == {
            "round": 0, "source": "namer", "failed": "no agent is called 'namer' here; load it, or correct it"
        }  # fmt: skip


def test_one_source_named_twice_is_one_and_the_controller_hears_what_was_added() -> None:
    log: list[Assignment] = []

    def control(assignment: Assignment) -> Answer:
        known = len(assignment.data["log"])
        return answered(
            {"sources": ["counter"] * 3 if assignment.data["rounds"] == 0 else list(SOURCES), "known": known}
        )

    with team({"control": asked(log, control)}, acts=ACTS) as here:
        output = begun(here, control="control").output()
        assert (output["converged"], output["applied"]) == (True, 3)
        assert [len(one.data["log"]) for one in log] == [0, 0, 2, 3]


def test_what_is_only_simulated_counts_as_added_in_a_dry_run_and_a_goal_is_yes_or_no() -> None:
    with team(acts=ACTS, workflows=Workflows(views=lambda _: OpenView())) as here:
        here.put("b-1", "Product", onOrder=0)
        engine = here.runtime.engine
        made = engine.register(document(rounds=2, goal="${ .onOrder + 1 }"), AUTHOR, ("agents",))
        engine.start(made, {"board": "b-1"}, CLEO, id="run", sandbox=True)
        here.drain()
        output = here.output()
        assert output["reached"] is True
        assert (output["applied"], output["refused"]) == (1, 0)
