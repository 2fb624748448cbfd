"""Controlling: pause, resume, cancel, terminate and retry a run, each one commit on the run as it was read.

Invariant I11: every step's commit expects the run at the version it was looked at, so after an acknowledged pause or end no step
of it is committed, whoever was working on it. What a cancelled run waited for is tidied up in the same commit. Drives nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from coordination import compensation
from coordination.compensation import EFFECTS_MAX
from coordination.errors import StateError
from coordination.runs import answers, mailbox, rows, runs, scheduling
from coordination.runs.driving import Driving
from coordination.runs.finishing import woken
from coordination.runs.parking import Parked, tidy, unfinished
from coordination.runs.runs import Run
from coordination.runs.starting import work_of
from coordination.runs.turns import Claim, Turn
from coordination.workflow.machine import Machine
from coordination.workflow.scope import Setting
from coordination.workflow.strand import READY, Strand
from coordination.works import KIND as WORK
from coordination.works import Work, micros
from kg.errors import ConflictError
from kg.model import ABSENT, Cause, Op, Put, StateWrite, Where
from kg.store import PAGE_MAX, GraphStore
from kg.values import Ref, Value

#: Tries of one order that lost a race with the run's own steps.
TRIES_MAX: Final = 50
#: Pages of strands, or of children, of one run.
PAGES_MAX: Final = 100
#: What an undoing takes up: an effect in hand, or in doubt, is undone once it is known that it happened.
_TO_UNDO: Final = ("done", "intent", "in_doubt")
_GOES_ON: Final = tuple(sorted(runs.MOVES.keys() - runs.ENDS))


@dataclass(frozen=True, slots=True)
class Controlling:
    """The orders of people, and the task "cancel"."""

    store: GraphStore
    driving: Driving

    def pause(self, id: str, by: str, reason: str = "") -> None:
        """Suspend a run; it goes on where it stands when it is resumed. Timers run on and are due then."""
        self._order(
            id, by, "pause", reason, lambda run, made: made.writes.append(self._move(run, runs.SUSPENDED, reason))
        )

    def resume(self, id: str, by: str, reason: str = "") -> list[str]:
        """Let a suspended run go on; the ids of the work to send."""

        def resumed(run: Run, made: Parked) -> None:
            if run.state != runs.SUSPENDED:
                # A faulted run could move to running too, but nothing would drive it: that is `retry`.
                raise StateError(f"run {id} is {run.state}, not suspended; resume what was paused, retry what faulted")
            made.writes.append(self._move(run, runs.RUNNING, reason))
            for strand in self._strands(run):
                if not strand.ended:
                    made.work(work_of(id, strand.id, f"r{run.version}"), self._now())

        return self._order(id, by, "resume", reason, resumed)

    def cancel(self, id: str, by: str, reason: str = "", *, compensate: bool = False) -> list[str]:
        """End a run: nothing of it goes on, its children neither; with `compensate` its effects are undone, last first."""
        return self._order(
            id, by, "cancel", reason, lambda run, made: self._cancelled(run, made, by, reason, compensate)
        )

    def terminate(self, id: str, by: str, reason: str = "") -> list[str]:
        """End a run at once: nothing of it is undone, and what it proposed and did not begin yet expires."""
        return self._order(
            id, by, "terminate", reason, lambda run, made: self._cancelled(run, made, by, reason or "terminated", False)
        )

    def retry(self, id: str, by: str, reason: str = "") -> list[str]:
        """Take a faulted run up again from the step that failed; what was done before stands."""

        def again(run: Run, made: Parked) -> None:
            row = self.store.state(rows.KIND, [rows.key(id, "0")]).get(rows.key(id, "0"))
            if run.state != runs.FAULTED or row is None:
                raise StateError(f"run {id} is {run.state} and keeps no place to go on from; start a new one")
            packing = rows.Rows(self.store, id)
            strand = packing.of(row)
            strand.state = READY
            if strand.wait is not None:
                # The task that waited is begun anew, under a new number.
                frame = strand.frames.pop()
                strand.data, strand.wait = frame["raw"], None
            self._renumber(strand)
            made.writes.append(Put(id, runs.RUN, {"state": runs.RUNNING}, unset=frozenset({"error", "ended"})))
            made.rows += packing.write(strand)
            if mailbox.box(self.store, id) is None:
                made.rows.append(mailbox.made(id))
            made.work(work_of(id, "0", f"again{run.version}"), self._now())

        return self._order(id, by, "retry", reason, again)

    def run(self, work: Work) -> Sequence[str]:
        """Cancel a run that another gave up."""
        run = runs.read(self.store, work.subject)
        follow: list[str] = []
        if run is not None and not run.ended:
            follow = self.cancel(work.subject, 'Service::"coordination"', work.reason)
        self.store.commit([], None, state=[StateWrite(WORK, work.id, None, expect=work.revision)])
        return follow

    def abandon(self, work: Work, reason: str) -> Sequence[str]:
        """Put it aside for a person."""
        self.store.commit([], None, state=[work.failed(reason).write()])
        return ()

    # -- parts --------------------------------------------------------------------------------------------------------

    def _order(self, id: str, by: str, activity: str, reason: str, act: Callable[[Run, Parked], None]) -> list[str]:
        for _ in range(TRIES_MAX):
            run = runs.known(self.store, id)
            made = Parked()
            act(run, made)
            cause = Cause(
                self.driving.clock.id(), f"run.{activity}", by, reason, attributes={"depth": run.depth, "run": id}
            )
            unique = {(row.kind, row.key): row for row in made.rows}
            new = [
                write.id for write in made.writes if isinstance(write, Put) and write.cls == compensation.COMPENSATION
            ]
            try:
                expects = {id: run.version, **dict.fromkeys(new, ABSENT)}
                self.store.commit(made.writes, cause, expects, list(unique.values()))
                return made.follow
            except ConflictError:
                continue
        raise StateError(f"run {id} changed each time it was looked at; give the order again")

    def _renumber(self, strand: Strand) -> None:
        """Give the tasks around the one that is tried again new numbers, where they are on record as ended."""
        frames = [frame for frame in strand.frames if frame["k"] == "task"]
        ids = {runs.step_id(strand.run, strand.id, frame["n"]): frame for frame in frames}
        found = self.store.get(list(ids))
        for id, frame in ids.items():
            if id in found:
                # INVARIANT I3: a step ends once, so this end of the task is another step.
                frame["n"] = strand.count
                frame.pop("known", None)
                strand.count += 1

    def _move(self, run: Run, state: str, reason: str) -> Put:
        more: dict[str, Value] = {"reason": reason} if reason else {}
        return run.move(state, **more)

    def _cancelled(self, run: Run, made: Parked, by: str, reason: str, compensate: bool) -> None:
        now = self._now()
        more: dict[str, Value] = {"ended": runs.instant(now), **({"reason": reason} if reason else {})}
        made.writes.append(run.move(runs.CANCELLED, **more))
        for strand in self._strands(run):
            made.rows += self._given_up(run, strand, now)
            made.writes += unfinished(strand)
        made.rows += mailbox.emptied(self.store, run.id)
        for child in self._children(run):
            work = Work(f"cancel:{child.id}", "cancel", child.id, reason=f"run {run.id} was cancelled")
            if work.id not in self.store.state(WORK, [work.id]):
                made.work(work, now)
        woken(self.store, made, run.id, now)
        scheduling.again(self.store, made, self.driving.definitions.plan(run.text("workflow")), run, now)
        if compensate:
            self._compensated(run, made, by, reason)

    def _given_up(self, run: Run, strand: Strand, now: int) -> list[StateWrite]:
        made = [StateWrite(rows.KIND, strand.key, None)]
        if strand.wait is None:
            return made
        plan = self.driving.definitions.plan(run.text("workflow"))
        setting = Setting(plan, run.id, None, run.began, self.driving.expressions)
        turn = Turn(Claim(Work("", "run", strand.key)), run, strand, rows.Rows(self.store, run.id), setting, {})
        machine = Machine(setting, strand, now)
        wait, strand.wait = strand.wait, None
        if wait["kind"] == "fork":
            made.append(StateWrite(answers.JOIN, answers.join_key(run.id, strand.id, wait["n"]), None))
            if "t" in wait:
                made.append(StateWrite(WORK, work_of(run.id, strand.id, f"t{wait['t']}").id, None))
            return made
        return made + tidy(self.store, self.driving.calls, turn, machine, [wait]).rows

    def _compensated(self, run: Run, made: Parked, by: str, reason: str) -> None:
        """Ask for the undoing of what the run did outside and in the graph, in the order it was done, and of what is in hand."""
        where = [Where("run", Op.EQ, run.id), Where("status", Op.IN, _TO_UNDO)]
        page = self.store.find("Effect", where, first=EFFECTS_MAX)
        if page.next is not None:
            raise StateError(
                f"run {run.id} has more than {EFFECTS_MAX:,} effects, too many to undo at once; cancel it without, "
                "then undo them in parts"
            )
        effects = sorted(page.items, key=lambda effect: effect.since)
        if not effects:
            return
        id, writes, state = compensation.requested(
            self.driving.clock, [effect.id for effect in effects], reason=reason or "the run was cancelled",
            principal=by, key=f"cancel:{run.id}", run=run.id, sandbox=run.sandbox,
        )  # fmt: skip
        del id
        made.writes += writes
        made.rows += state
        made.follow += [row.key for row in state]

    def _children(self, run: Run) -> list[Run]:
        where = [Where("parent", Op.EQ, Ref(run.id)), Where("state", Op.IN, _GOES_ON)]
        found, after = list[Run](), None
        for _ in range(PAGES_MAX):
            page = self.store.find(runs.RUN, where, after=after, first=PAGE_MAX)
            found += map(Run, page.items)
            after = page.next
            if after is None:
                break
        return found

    def _strands(self, run: Run) -> list[Strand]:
        packing, found, after = rows.Rows(self.store, run.id), [], ""
        for _ in range(PAGES_MAX):
            page = self.store.scan(rows.KIND, prefix=f"{run.id}/", after=after, first=PAGE_MAX)
            found += [packing.of(row) for row in page]
            if len(page) < PAGE_MAX:
                break
            after = page[-1].key
        return found

    def _now(self) -> int:
        return micros(self.driving.clock.now())
