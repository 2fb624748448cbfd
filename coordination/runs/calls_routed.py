"""Routed calls: `call: agent` with `capability` instead of a name: the router chooses, the next of the chain stands in for one that
fails, and a time-out hands the task back to the workflow, whose retry goes to another agent.

Invariant: the choice is committed with the wait for what it led to, so a task is routed once (I3); what became of it is learnt when
the strand goes on. Where every agent failed the workflow gets the error, with what each of them said; where nobody
failed and all are held (by a control, or a budget that waits), the step comes again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from coordination import learning
from coordination.acting import Acting
from coordination.errors import AnswerError, GiveUp, HeldError, RetryLater
from coordination.routing import Choice, Router, Task, routing_id
from coordination.runs.calls import Answer, Begun, Call, Kind
from coordination.workflow.durations import microseconds
from coordination.workflow.faults import Fault, fault
from coordination.works import micros
from kg.errors import ConflictError, NoesisError, StoreError
from kg.model import StateWrite
from kg.values import Json

#: Characters of what a failing agent said.
WHY_MAX = 300


@dataclass(frozen=True, slots=True)
class RoutedCall:
    """`call: agent`: by `agent` to `inner` as it is; by `capability` (and `department`, `timeout`) to whom the router chooses."""

    inner: Kind
    router: Router
    acting: Acting
    quick: bool = field(default=True, init=False)

    def begin(self, call: Call) -> Begun | Answer:
        """Have the chosen agent begin; where it cannot, the next one."""
        if "capability" not in call.arguments:
            return self._named(call)
        task = self._task(call)
        choice = self.router.choose(task, self.acting.agents().values())
        if not choice.chain and choice.out:
            # All who can are held by controls, as one that is named would be: the step waits with them.
            raise HeldError("; ".join(choice.out.values())[:WHY_MAX])
        if not choice.chain:
            raise fault(
                "configuration", f"no agent is there for {task.capability!r}: none declares it", title="Not Routed"
            )
        failed: dict[str, str] = {}
        held: dict[str, HeldError] = {}
        for candidate in choice.chain:
            arguments = {name: value for name, value in call.arguments.items() if name != "capability"}
            try:
                begun = self.inner.begin(replace(call, arguments={**arguments, "agent": candidate.agent}))
            except (ConflictError, StoreError):
                # That is no agent's doing, and would be held against every one of them: the step comes again.
                raise
            except HeldError as error:
                # Nor is that an agent's failure: it may do it once it is let.
                held[candidate.agent] = error
                continue
            except Exception as error:
                # Whatever an agent raises is its own trouble: the next one stands in.
                failed[candidate.agent] = _words(error)
                continue
            return self._begun(task, choice, candidate.agent, failed, begun)
        if held and not failed:
            raise next(iter(held.values()))
        said = {**failed, **{name: _words(error) for name, error in held.items()}}
        problem = fault("runtime", _every(task, said), status=502, title="Escalated").problem
        return self._begun(task, choice, "", failed, {"problem": {"instance": call.reference, **problem}})

    def look(self, call: Call, handle: Mapping[str, Any]) -> Answer | None:
        """What the agent's call gives, or the time-out."""
        if "routing" not in handle:
            return self.inner.look(call, handle)
        found: Answer | None = handle.get("told") or self.inner.look(call, handle)
        if found is None and handle.get("until") is not None and call.now >= handle["until"]:
            problem = fault(
                "timeout", f"{handle['agent']} gave no result in time; another is asked when it is tried again"
            )
            return {"problem": {"instance": call.reference, **problem.problem}}
        if found is None or not isinstance(found.get("output"), dict):
            return found
        return {"output": {**found["output"], "routing": handle["routing"], "agent": handle["agent"]}}

    def withdraw(self, call: Call, handle: Mapping[str, Any]) -> Sequence[StateWrite]:
        """What the strand leaves behind: the look at what became of the task."""
        if "routing" not in handle:
            return self.inner.withdraw(call, handle)
        now = micros(self.router.clock.now())
        rows = self.inner.withdraw(call, handle["inner"]) if handle["inner"] else ()
        return [*rows, learning.learn(handle["routing"], f"left:{call.number}").first(now)]

    def _named(self, call: Call) -> Begun | Answer:
        try:
            return self.inner.begin(call)
        except (Fault, NoesisError, RetryLater, GiveUp):
            raise
        except Exception as error:
            # What an agent's own code raises is told apart from what the platform does.
            raise AnswerError(f"agent {call.arguments.get('agent')} raised {_words(error)}") from error

    def _task(self, call: Call) -> Task:
        length = call.arguments.get("timeout")
        until = None if length is None else self.router.clock.now() + timedelta(microseconds=microseconds(length))
        department = call.arguments.get("department", "")
        step = f"{call.strand} {call.reference}"
        return Task(call.key, call.text("capability"), str(department), call.run.id, step, until)

    def _begun(self, task: Task, choice: Choice, agent: str, failed: Mapping[str, str], begun: Begun | Answer) -> Begun:
        put = self.router.record(task, choice, agent, failed)
        handle: dict[str, Json] = {"routing": routing_id(task.key), "agent": agent, "inner": None}
        if task.until is not None:
            handle["until"] = micros(task.until)
        if not isinstance(begun, Begun):
            return Begun({**handle, "told": dict(begun)}, [put])
        handle |= {**begun.handle, "inner": dict(begun.handle)}
        until = begun.until if task.until is None else min(micros(task.until), begun.until or micros(task.until))
        return replace(begun, handle=handle, writes=[*begun.writes, put], until=until)


def _words(error: Exception) -> str:
    if isinstance(error, Fault) and isinstance(error.__cause__, Exception):
        # What the agent's own code raised, without our words around it.
        error = error.__cause__
    said = str(error.problem.get("detail", error)) if isinstance(error, Fault) else str(error)
    return f"{type(error).__name__}: {said}"[:WHY_MAX]


def _every(task: Task, failed: Mapping[str, str]) -> str:
    said = "; ".join(f"{name}: {why}" for name, why in failed.items())
    return f"every agent for {task.capability!r} failed, a person has to look: {said}"[:2_000]
