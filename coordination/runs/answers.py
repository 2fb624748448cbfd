"""Answers: whether what a strand waits for is there: its time has come, its branches or its child have ended, events wait.

Invariant: it only reads, and reads what holds now; asking twice gives the same until something changes. Calls answer for
themselves, in `calls`.
"""

from collections.abc import Mapping
from typing import Any, Final

from coordination.runs import mailbox, rows, runs
from coordination.runs.calls import Answer
from coordination.workflow import machine_fork
from coordination.workflow.faults import fault
from coordination.workflow.strand import Strand
from kg.store import GraphStore

JOIN: Final = "join"


def look(store: GraphStore, strand: Strand, now: int, gathered_max: int) -> Answer | None:
    """The answer to what the strand waits for, None while there is none; the branches of a fork give so many characters at most."""
    wait = strand.wait or {}
    kind = wait.get("kind")
    if kind == "timer":
        return {"output": strand.frames[-1]["in"]} if wait["until"] <= now else None
    if kind == "fork":
        return _joined(store, strand, wait, gathered_max)
    if kind == "run":
        return _child(store, wait)
    return _heard(store, strand, wait) if kind == "listen" else None


def _heard(store: GraphStore, strand: Strand, wait: Mapping[str, Any]) -> Answer | None:
    box = mailbox.box(store, strand.run)
    missed = 0 if box is None else box.value.get("missed", {}).get(strand.id, 0)
    if missed:
        # To go on without them would be to answer wrongly and say nothing.
        sentence = f"{missed:,} events found no place, for {mailbox.LETTERS_MAX:,} waited for this run; listen to fewer"
        return {"problem": fault("runtime", sentence).problem}
    waiting = mailbox.letters(store, strand.run, strand.id, wait.get("after", ""))
    return {"events": [[letter.key, dict(letter.event)] for letter in waiting]} if waiting else None


def join_key(run: str, strand: str, number: int) -> str:
    """The key of the row in which the branches of a fork meet."""
    return f"{run}/{strand}.{number}"


def branch_keys(strand: Strand, wait: Mapping[str, Any]) -> list[str]:
    """The keys of the strands of a fork's branches, in order."""
    return [rows.key(strand.run, f"{strand.id}.{wait['n']}.{index}") for index in range(wait["count"])]


def _joined(store: GraphStore, strand: Strand, wait: Mapping[str, Any], gathered_max: int) -> Answer | None:
    row = store.state(JOIN, [join_key(strand.run, strand.id, wait["n"])]).get(
        join_key(strand.run, strand.id, wait["n"])
    )
    if row is None or not machine_fork.settled(row.value, wait["compete"]):
        return None
    keys = branch_keys(strand, wait)
    packing = rows.Rows(store, strand.run)
    decided = machine_fork.decider(row.value, wait["compete"])
    # Before they are read: a thousand branches may each give what one task may.
    if decided is None and (problem := machine_fork.large(row.value, gathered_max)) is not None:
        return problem
    found = store.state(rows.KIND, keys if decided is None else [keys[decided]])
    wanted = keys if decided is None else [keys[decided]]
    return machine_fork.met(strand.context, [packing.of(found[key]) for key in wanted], decided is not None)


def _child(store: GraphStore, wait: Mapping[str, Any]) -> Answer | None:
    child = runs.known(store, wait["child"])
    if not child.ended:
        return None
    if child.state == runs.COMPLETED:
        return {"output": runs.value(store, child.id, child.entity, "output")}
    if child.state == runs.FAULTED:
        problem = child.error
        return {"problem": {name: item for name, item in problem.items() if name != "instance"}}
    return {"problem": fault("runtime", f"the run {child.id} was cancelled", status=410, title="Cancelled").problem}
