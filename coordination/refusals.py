"""Refusals: the memory of what was rejected or beaten, so that it is not made again unchanged. One row an agent and intent.

Invariants: a person's no holds for its time whatever the evidence; what a rival beat may come again with other evidence, or once
the rival fell itself. Withholding loses nothing: what was refused is on record, and the row counts how often it was withheld.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from coordination.codec import derive
from coordination.proposals import Draft, Proposal, intent
from coordination.works import micros
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import State, StateWrite
from kg.store import PAGE_MAX, GraphStore

KIND: Final = "refusal"
#: Ends of a winner after which what it beat may come again.
_FELL: Final = frozenset({"denied", "rejected", "expired", "failed"})
REASON_MAX: Final = 500
#: Rows that one sweep ends, and rows that one listing or reset looks through.
SWEEP_MAX: Final = 100
LISTED_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused, as remembered. `by` is the rival that beat it, empty where a person said no."""

    key: str
    agent: str
    operation: str
    target: str
    proposal: str
    reason: str
    until: int
    by: str = ""
    withheld: int = 0


def key_of(agent: str, digest: str) -> str:
    """The key of the row of an agent and an intent."""
    return derive("refusal", agent, digest)


def row(proposal: Proposal, reason: str, now: int, seconds: int, by: str = "") -> list[StateWrite]:
    """The row that remembers a refused proposal; none where it is not to be remembered or belongs to a run, which is an order."""
    if seconds <= 0 or proposal.text("run") or proposal.text("partners"):
        return []
    until = now + seconds * 1_000_000
    value = {
        **{name: proposal.text(name) for name in ("agent", "operation", "target")},
        "proposal": proposal.id,
        "reason": reason[:REASON_MAX],
        "until": until,
        "by": by,
        "grounds": _grounds(proposal.texts("evidence")),
        "withheld": 0,
    }
    return [StateWrite(KIND, key_of(proposal.text("agent"), proposal.text("intent")), value, due=until)]


def withheld(store: GraphStore, clock: Clock, agent: str, drafts: Sequence[Draft]) -> dict[int, State]:
    """Which of an agent's drafts were refused before and rest on nothing new, by their place."""
    keys = {index: key_of(agent, intent(draft)) for index, draft in enumerate(drafts)}
    rows = store.state(KIND, list(dict.fromkeys(keys.values())))
    now = micros(clock.now())
    found = {index: rows[key] for index, key in keys.items() if key in rows and rows[key].value["until"] > now}
    winners = [str(state.value["by"]) for state in found.values() if state.value["by"]]
    there = store.get(winners) if winners else {}
    return {
        index: state
        for index, state in found.items()
        if not state.value["by"]
        or (
            state.value["grounds"] == _grounds([f"{item.id}@{item.version}" for item in drafts[index].evidence])
            and state.value["by"] in there
            and there[state.value["by"]]["state"] not in _FELL
        )
    }


def counted(rows: Mapping[int, State]) -> list[StateWrite]:
    """The rows, each with one more time that it was withheld."""
    unique = {state.key: state for state in rows.values()}
    return [
        StateWrite(KIND, key, {**state.value, "withheld": state.value["withheld"] + 1}, due=state.due)
        for key, state in unique.items()
    ]


def every(store: GraphStore, agent: str = "") -> list[Refusal]:
    """What is remembered, of one agent or of all, by key."""
    found: list[Refusal] = []
    after = ""
    for _ in range(LISTED_MAX // PAGE_MAX):
        rows = store.scan(KIND, after=after, first=PAGE_MAX)
        found += [_of(state) for state in rows if not agent or state.value["agent"] == agent]
        if len(rows) < PAGE_MAX:
            break
        after = rows[-1].key
    return found


def forget(store: GraphStore, agent: str = "", proposal: str = "") -> int:
    """Let what was refused be proposed again: that of one agent, of one proposal, or all; how many."""
    chosen = [item for item in every(store, agent) if not proposal or item.proposal == proposal]
    for start in range(0, len(chosen), PAGE_MAX):
        store.commit([], None, state=[StateWrite(KIND, item.key, None) for item in chosen[start : start + PAGE_MAX]])
    return len(chosen)


def sweep(store: GraphStore, clock: Clock) -> int:
    """Forget what was remembered long enough; how many there were."""
    rows = store.scan(KIND, due=micros(clock.now()), first=SWEEP_MAX)
    for state in rows:
        try:
            store.commit([], None, state=[StateWrite(KIND, state.key, None, expect=state.revision)])
        except ConflictError:
            continue
    return len(rows)


def _grounds(evidence: Sequence[str]) -> str:
    return derive(*sorted(set(evidence)))


def _of(state: State) -> Refusal:
    value = {name: item for name, item in state.value.items() if name != "grounds"}
    return Refusal(state.key, **value)
