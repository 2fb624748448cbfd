"""Undoing: `call: compensate` with `proposals` (or `effects`), in the order they happened: what they did is undone, the last first.

Invariant: the compensation's id follows from the call and it begins in the commit that has the strand wait, so it begins once (I3);
whether an undoing is allowed is decided like any other effect. One that gets stuck waits for a person, and the strand with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coordination import compensation
from coordination.effects import EFFECT, effect_id
from coordination.proposals import PROPOSAL, Proposal
from coordination.runs.calls import Answer, Begun, Call
from coordination.runs.calls_outward import Outward
from coordination.runs.definitions import acts_as
from coordination.runs.parking import AWAITED
from coordination.runs.rows import key
from coordination.workflow.faults import fault
from kg.model import ABSENT, StateWrite


@dataclass(frozen=True, slots=True)
class CompensateCall:
    """`call: compensate`; the output names the compensation and the effects that were undone."""

    outward: Outward
    quick: bool = field(default=False, init=False)

    def begin(self, call: Call) -> Begun | Answer:
        """Ask for the undoing; nothing to undo is answered at once."""
        effects = self._effects(call)
        if not effects:
            return {"output": {"compensation": None, "effects": []}}
        id, writes, rows = compensation.requested(
            self.outward.clock, effects, reason=str(call.arguments.get("reason") or f"step {call.reference}"),
            principal=f'Agent::"{acts_as(call.plan.document)}"', key=call.key, run=call.run.id, sandbox=call.run.sandbox,
        )  # fmt: skip
        waiting = StateWrite(AWAITED, id, {"subject": key(call.run.id, call.strand)}, expect=ABSENT)
        return Begun({"compensation": id}, writes, [*rows, waiting], [row.key for row in rows])

    def look(self, call: Call, handle: Mapping[str, Any]) -> Answer | None:
        """Whether all is undone."""
        del call
        id = handle["compensation"]
        found = self.outward.store.get([id])[id]
        if found["state"] != "done":
            return None
        effects: Any = found["effects"]
        return {"output": {"compensation": id, "effects": list(effects)}}

    def withdraw(self, call: Call, handle: Mapping[str, Any]) -> Sequence[StateWrite]:
        """Nobody waits for it any more; it goes on."""
        del call
        return [StateWrite(AWAITED, handle["compensation"], None)]

    def _effects(self, call: Call) -> list[str]:
        named = call.arguments.get("proposals")
        ids = call.arguments.get("effects") if named is None else named
        if (
            not isinstance(ids, list)
            or len(ids) > compensation.EFFECTS_MAX
            or not all(isinstance(id, str) for id in ids)
        ):
            raise fault(
                "configuration",
                f"`call: compensate` needs `proposals` or `effects`, a list of at most {compensation.EFFECTS_MAX:,} ids",
            )
        wanted = EFFECT if named is None else PROPOSAL
        there = self.outward.store.get(ids)
        strange = [id for id in ids if id not in there or there[id].cls != wanted]
        if strange:
            raise fault("configuration", f"{strange[0][:80]!r} is no {wanted.lower()}; name what a call gave")
        return ids if named is None else [effect_id(Proposal(there[id])) for id in ids]
