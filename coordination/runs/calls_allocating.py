"""Allocating: `call: allocate` with `tasks`, `bids`, `capacity`: which bidder gets which task, at the least cost together.

Invariant: pure; the same bids give the same allocation. It decides nothing else: who may bid, and what follows, the workflow says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coordination.allocation import allocate
from coordination.runs.calls import Answer, Begun, Call
from coordination.workflow.faults import fault
from kg.model import StateWrite


@dataclass(frozen=True, slots=True)
class AllocateCall:
    """Answers at once."""

    quick: bool = field(default=True, init=False)

    def begin(self, call: Call) -> Begun | Answer:
        """The allocation."""
        try:
            return {"output": allocate(call.arguments)}
        except (TypeError, ValueError, AttributeError) as error:
            raise fault("configuration", f"`call: allocate` needs tasks, bids and capacity: {error}") from error

    def look(self, call: Call, handle: Mapping[str, Any]) -> Answer | None:
        """Nothing to look for: it was answered at once."""
        del call, handle
        return None

    def withdraw(self, call: Call, handle: Mapping[str, Any]) -> Sequence[StateWrite]:
        """Nothing to tidy up."""
        del call, handle
        return ()
