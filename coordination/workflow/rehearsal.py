"""Rehearsal: a run of a workflow in memory, in virtual time, with the outside answered by whoever rehearses it.

Invariants: it drives the same machine as durable runs do, so what a task does is the same; it is deterministic, and time passes
only where every strand waits. It stores nothing, decides nothing and touches nothing outside.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from coordination.errors import WorkflowError
from coordination.workflow import machine_fork
from coordination.workflow.faults import Fault
from coordination.workflow.machine import Machine
from coordination.workflow.scope import Setting
from coordination.workflow.strand import READY, Frame, Step, Strand
from kg.values import Json

#: Turns of one rehearsal; beyond this it is taken to be endless.
TURNS_MAX: Final = 200_000
#: Kinds of waits that the outside answers.
ASKED: Final = frozenset({"call", "run", "listen"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What a step asks of the outside: `kind` is call, run or listen; `name` of the call or workflow; arguments or input."""

    strand: str
    number: int
    reference: str
    task: str
    kind: str
    name: str
    arguments: Json
    now: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and when it comes, in microseconds: an output, or the problem that it failed with."""

    at: int
    output: Json = None
    problem: Mapping[str, Any] | None = None


def _as_it_comes(strand: str, number: int) -> None:
    """No moment is given."""
    del strand, number


Outside = Callable[[Asked], Reply | None]


@dataclass(slots=True)
class Rehearsal:
    """One run. `moments` says when the task of this strand and number begins, where that is to be as it was once."""

    setting: Setting
    outside: Outside
    now: int
    events: list[tuple[int, Mapping[str, Json]]] = field(default_factory=list)
    moments: Callable[[str, int], int | None] = _as_it_comes
    tasks_a_turn: int = 32
    steps: list[tuple[str, Step]] = field(default_factory=list)
    emitted: list[Mapping[str, Json]] = field(default_factory=list)
    detached: list[Mapping[str, Any]] = field(default_factory=list)
    strands: dict[str, Strand] = field(default_factory=dict)
    _meetings: dict[str, dict[str, Any]] = field(default_factory=dict)
    _replies: dict[tuple[str, int], Reply | None] = field(default_factory=dict)
    _letters: list[tuple[str, str, Mapping[str, Json]]] = field(default_factory=list)
    _arrived: int = 0

    @property
    def first(self) -> Strand:
        """The strand that the run begins with; it ends with the run."""
        return self.strands["0"]

    def run(self) -> Strand:
        """Go on until the run ends, or nothing more can happen; the first strand as it stands then."""
        self.events.sort(key=lambda pair: pair[0])
        self.strands.setdefault("0", Strand(self.setting.run, data=self.setting.input))
        for _ in range(TURNS_MAX):
            if self.first.ended or not (self._turns() or self._later()):
                return self.first
        raise WorkflowError(f"it does not come to rest within {TURNS_MAX:,} turns; bound its loops and waits")

    def _turns(self) -> bool:
        """Take every strand on that can go on; whether one did."""
        moved = False
        for id in list(self.strands):
            strand = self.strands.get(id)
            if strand is not None and not strand.ended and self._turn(strand):
                moved = True
        return moved

    def _later(self) -> bool:
        """Let time pass to the next thing that happens; whether there is one."""
        waiting = [strand for strand in self.strands.values() if not strand.ended]
        times = [due for strand in waiting if (due := strand.due()) is not None]
        times += [
            reply.at
            for strand in waiting
            if strand.wait is not None and (reply := self._replies.get((strand.id, strand.wait["n"]))) is not None
        ]
        times += [at for at, _ in self.events[:1]]
        if not times:
            return False
        self.now = max(self.now, min(times))
        while self.events and self.events[0][0] <= self.now:
            self._arrives(self.events.pop(0)[1], listeners_only=False)
        return True

    # -- one strand ---------------------------------------------------------------------------------------------------

    def _turn(self, strand: Strand) -> bool:
        before = strand.wait
        reply = None if before is None else self._reply(strand, before)
        answer = None if before is None or reply is not None else self._answer(strand, before)
        due = any(frame["due"] <= self.now for frame in strand.frames if "due" in frame)
        if before is not None and reply is None and answer is None and not due:
            return False
        machine = Machine(self.setting, strand, self._moment(strand, reply))
        if not strand.frames and strand.count == 0 and not strand.parent:
            machine.begin()
        if reply is not None and not due:
            self._settle(machine, reply)
        machine.advance(answer, self.tasks_a_turn)
        self._keep(strand, machine, before)
        return True

    def _moment(self, strand: Strand, reply: Reply | None) -> int:
        if reply is not None:
            return reply.at
        known = self.moments(strand.id, strand.count) if strand.state == READY else None
        return self.now if known is None else known

    @staticmethod
    def _settle(machine: Machine, reply: Reply) -> None:
        """End the waiting task with what came of it."""
        strand = machine.strand
        strand.wait, strand.state = None, READY
        frame = strand.frames[-1]

        def end() -> None:
            if reply.problem is not None:
                raise Fault(dict(reply.problem))
            machine.complete(frame, reply.output)

        machine.guarded(end)

    def _reply(self, strand: Strand, wait: Mapping[str, Any]) -> Reply | None:
        """What the outside says, once it is time."""
        if wait["kind"] not in ASKED:
            return None
        key = (strand.id, wait["n"])
        if key not in self._replies:
            self._replies[key] = self.outside(_asked(strand, strand.frames[-1], wait, self.now))
        reply = self._replies[key]
        return reply if reply is not None and reply.at <= self.now else None

    def _answer(self, strand: Strand, wait: Mapping[str, Any]) -> Mapping[str, Any] | None:
        kind = wait["kind"]
        if kind == "timer":
            return {"output": strand.frames[-1]["in"]} if wait["until"] <= self.now else None
        if kind == "fork":
            return self._met(strand, wait)
        if kind == "listen":
            after = wait.get("after", "")
            found = [
                [key, dict(event)]
                for key, whose, event in self._letters
                if whose in ("", strand.id) and _order(key) > after
            ]
            return {"events": found} if found else None
        return None

    def _met(self, strand: Strand, wait: Mapping[str, Any]) -> Mapping[str, Any] | None:
        meeting = self._meetings[f"{strand.id}.{wait['n']}"]
        if not machine_fork.settled(meeting, wait["compete"]):
            return None
        decided = machine_fork.decider(meeting, wait["compete"])
        if decided is None:
            problem = machine_fork.large(meeting, self.setting.limits.gathered_max)
            if problem is not None:
                return problem
        wanted = range(wait["count"]) if decided is None else [decided]
        branches = [self.strands[f"{strand.id}.{wait['n']}.{index}"] for index in wanted]
        return machine_fork.met(strand.context, branches, decided is not None)

    def _keep(self, strand: Strand, machine: Machine, before: Mapping[str, Any] | None) -> None:
        """What a turn gave out, what it gave up, and what it now waits for."""
        self.steps += [(strand.id, step) for step in machine.steps]
        self.detached += machine.detached
        self._letters = [letter for letter in self._letters if letter[0] not in machine.consumed]
        for event in machine.emitted:
            self.emitted.append(event)
            self._arrives(event, listeners_only=True)
        wait = strand.wait
        left = [*machine.left, *([before] if before is not None and before is not wait else [])]
        for gone in left:
            if gone["kind"] == "fork":
                self._drop(f"{strand.id}.{gone['n']}")
        if wait is not None and wait is not before and wait["kind"] == "fork":
            self._meetings[f"{strand.id}.{wait['n']}"] = machine_fork.meeting(wait["count"], wait["compete"], wait["n"])
            self.strands |= {branch.id: branch for branch in machine_fork.branches(machine)}
        if strand.ended and strand.parent:
            name = strand.id.rpartition(".")[0]
            self._meetings[name] = machine_fork.branch_ended(self._meetings[name], strand)

    def _drop(self, name: str) -> None:
        self._meetings = {key: value for key, value in self._meetings.items() if not _inside(key, name)}
        self.strands = {id: strand for id, strand in self.strands.items() if not id.startswith(f"{name}.")}

    def _arrives(self, event: Mapping[str, Json], *, listeners_only: bool) -> None:
        """An event sent to the run keeps for whoever wants it first; one that was emitted is for those who listen now."""
        listening = [
            strand.id
            for strand in self.strands.values()
            if not strand.ended
            and strand.wait is not None
            and strand.wait["kind"] == "listen"
            and {"*", event.get("type")} & set(strand.wait["types"])
        ]
        for whose in listening or ([] if listeners_only else [""]):
            self._arrived += 1
            self._letters.append((f"{whose}#{self._arrived:012d}", whose, event))


def _order(key: str) -> str:
    return key.rpartition("#")[2]


def _inside(key: str, name: str) -> bool:
    return key == name or key.startswith(f"{name}.")


def _asked(strand: Strand, frame: Frame, wait: Mapping[str, Any], now: int) -> Asked:
    kind = wait["kind"]
    name, arguments = "", None
    if kind == "call":
        name, arguments = wait["call"], wait.get("arguments")
    elif kind == "run":
        wanted = wait["workflow"]
        name, arguments = f"{wanted.get('namespace')}.{wanted.get('name')}", wanted.get("input")
    return Asked(strand.id, wait["n"], frame["p"], frame["name"], kind, name, arguments, now)


def settled_steps(steps: Sequence[tuple[str, Step]]) -> dict[tuple[str, int], Step]:
    """Of each task that began the last that is known, by strand and number."""
    return {(strand, step.number): step for strand, step in steps}
