"""`run: shell` and `run: script`: the process is proposed as every outward call, and its result is given as `return` says.

Invariants: with `await: false` the strand goes on as soon as the proposal is committed; whether the process then runs is on record
with it. What a shut-in process wrote is data, never part of a program.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from coordination.errors import DraftError
from coordination.proposals import Draft, Proposal
from coordination.runs.calls import Answer, Begun, Call
from coordination.runs.calls_outward import Outward
from coordination.workflow.durations import microseconds
from coordination.workflow.faults import Fault, fault
from kg.model import StateWrite
from kg.values import Json

#: What `return` may say, and the exit codes that are no error with it: who asks for the output of a success gets no other.
RETURNS: Final = frozenset({"stdout", "stderr", "code", "all", "none"})
_ANY_CODE: Final = frozenset({"stderr", "code", "all"})
#: Characters of what it wrote that an error repeats.
SAID_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class ProcessCall:
    """`run: shell` or `run: script`, through the effector "process"."""

    outward: Outward
    process: str
    quick: bool = field(default=False, init=False)

    def begin(self, call: Call) -> Begun | Answer:
        """Propose the process."""
        wanted = call.arguments.get("process")
        returned = call.arguments.get("return", "stdout")
        if not isinstance(wanted, Mapping):
            raise fault("configuration", f"`run: {self.process}` needs an object that says what to run")
        if returned not in RETURNS:
            raise fault("configuration", f"`return` is one of {', '.join(sorted(RETURNS))}; correct it")
        if "source" in wanted:
            raise fault("configuration", "a script's `source` is not fetched; put its text into `code`")
        names = ("command", "language", "code", "arguments", "environment", "stdin")
        payload: dict[str, Json] = {
            "run": self.process,
            **{name: wanted[name] for name in names if wanted.get(name) is not None},
            "return": returned,
            "await": call.arguments.get("await", True),
            **_limit(call),
        }
        draft = Draft(
            f"run.{self.process}", call.step, effector="process", payload=payload,
            rationale=f"step {call.reference} of run {call.run.id}",
        )  # fmt: skip
        try:
            return self.outward.propose(call, draft)
        except DraftError as error:
            raise fault("configuration", str(error)) from error

    def look(self, call: Call, handle: Mapping[str, Any]) -> Answer | None:
        """How it ended, in the form that was asked for; at once where nobody waits for it."""
        id = handle["proposals"][0]
        if not Proposal(self.outward.store.get([id])[id]).payload.get("await", True):
            return {"output": None}
        try:
            found = self.outward.settled(handle, "runtime")
            return None if found is None else {"output": _output(*found)}
        except Fault as error:
            return {"problem": {"instance": call.reference, **error.problem}}

    def withdraw(self, call: Call, handle: Mapping[str, Any]) -> Sequence[StateWrite]:
        """Nothing: what is proposed goes its way, its result is on record."""
        del call, handle
        return ()


def _limit(call: Call) -> dict[str, Json]:
    """The task's own time-out as the process's, where the document says it in numbers."""
    declared = call.plan.task(call.reference).definition.get("timeout")
    if declared is None:
        return {}
    after = call.plan.component("timeouts", declared).get("after")
    try:
        return {"seconds": microseconds(after) / 1_000_000}
    except Fault:
        # An expression: the task's timer says when it is over.
        return {}


def _output(proposal: Proposal, detail: Mapping[str, Any]) -> Json:
    if "would" in detail:
        return dict(detail)
    returned = proposal.payload.get("return")
    stopped, code = detail.get("stopped"), detail.get("code", 0)
    if stopped == "deadline":
        raise fault("timeout", "the process ran longer than it may and was stopped")
    if stopped:
        raise fault("runtime", "the process wrote more than is taken and was stopped; write less, or to a file")
    if code != 0 and returned not in _ANY_CODE:
        said = str(detail.get("stderr", ""))[-SAID_MAX:].strip()
        raise fault("runtime", f"the process ended with exit code {code}" + (f": {said}" if said else ""))
    if returned == "none":
        return None
    if returned == "all":
        return {name: detail.get(name) for name in ("code", "stdout", "stderr")}
    found: Json = detail.get(str(returned))
    return found
