"""Driving: the task that takes a strand on, from what it waits for to the next thing it waits for, one commit a step.

Invariants: I7 every commit rewrites the strand's row at the revision it read and expects the run as it was looked at, so a worker
that lost its strand, or whose run was stopped, writes nothing. I3 steps are made under ids that follow from the strand, and are
expected absent. What a strand waits for is looked at, never told: a lost or doubled wake costs time only.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from coordination import switches
from coordination.errors import GiveUp, HeldError, RetryLater
from coordination.runs import answers, holding, resting, rows, runs
from coordination.runs.calls import Answer, Begun, Call, Calls, Kind
from coordination.runs.definitions import Definitions, acts_as
from coordination.runs.finishing import finish, one_by_one
from coordination.runs.hiding import hidden
from coordination.runs.parking import park, startable, tidy, timer_of, unfinished, unfit
from coordination.runs.recorded import Record
from coordination.runs.runs import Run
from coordination.runs.starting import work_of
from coordination.runs.turns import Claim, Pace, Turn
from coordination.workflow.expressions import Expressions
from coordination.workflow.faults import Fault, fault
from coordination.workflow.machine import Machine
from coordination.workflow.scope import Limits, Setting
from coordination.workflow.strand import READY, Step, Strand
from coordination.works import KIND as WORK
from coordination.works import Work, micros
from kg.clock import Clock
from kg.errors import ConflictError, InputError, StoreError, ValueDomainError
from kg.fibers import apart
from kg.model import ABSENT, Put, StateWrite, Write
from kg.store import GraphStore
from kg.values import Json

#: The wait after a failure that is not the workflow's own.
AGAIN_SECONDS: Final = 1.0
#: How long a strand that a control holds waits before it looks again; when the control lets go it is released at once.
HOLD_SECONDS: Final = 60.0
#: A function that takes so long has what went before it committed first, so that the record does not lag behind.
SLOW_SECONDS: Final = 0.05
#: Seconds after which a branch at work looks whether its fork is over.
LOOK_SECONDS: Final = 0.05
#: Characters of such a failure that are kept.
REASON_MAX: Final = 500


@dataclass(slots=True)
class Driving:
    """The task "run"."""

    store: GraphStore
    clock: Clock
    definitions: Definitions
    calls: Calls
    expressions: Expressions
    secrets: Mapping[str, Json] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    pace: Pace = field(default_factory=Pace)
    #: Functions by name, and how many seconds each took when it was called last.
    taken: dict[str, float] = field(default_factory=dict)

    def run(self, work: Work) -> Sequence[str]:
        """Drive the strand as far as it goes in this claim; a lost race is looked at again, a bounded number of times."""
        claim = Claim(work)
        try:
            return self._tried(claim)
        except (GiveUp, ValueDomainError) as error:
            # A value that no store takes is none at the next try either.
            return self.abandon(claim.work, str(error))
        except Exception as error:
            if claim.work.revision == work.revision:
                raise
            # The claim was renewed with the steps it committed, so whoever gave it out cannot put it back.
            wait, counted = (error.seconds, error.counted) if isinstance(error, RetryLater) else (None, True)
            reason = f"{type(error).__name__}: {error}"[:REASON_MAX]
            if isinstance(error, HeldError):
                held = claim.work.waiting(self._now(), HOLD_SECONDS, str(error)[:REASON_MAX])
                self.store.commit([], None, state=[held.write()])
                return claim.follow
            later = claim.work.later(self._now(), AGAIN_SECONDS if wait is None else wait, reason, counted)
            self.store.commit([], None, state=[later.write()])
            return claim.follow

    def _tried(self, claim: Claim) -> Sequence[str]:
        for _ in range(self.pace.race_tries_max):
            try:
                return self._drive(claim)
            except ConflictError as error:
                if claim.work.id in error.found:
                    raise
        raise RetryLater(f"strand {claim.work.subject} changed each time it was looked at", 0.05, counted=False)

    def _drive(self, claim: Claim) -> Sequence[str]:
        turn = self._turn(claim)
        if turn is None:
            return self._ended(claim)
        agent = acts_as(turn.setting.plan.document)
        standing = switches.over_run(self.store, agent)
        if standing.held:
            raise HeldError(switches.words(agent, standing.held))
        turn.controls = standing.versions
        began = looked = self.clock.monotonic()
        while True:
            answer = self._answer(turn)
            if answer is None and not self._goes_on(turn):
                return self._rest(turn)
            over = turn.commits + 1 >= self.pace.commits_a_claim
            self._advance(turn, answer)
            if turn.strand.ended:
                return self._hushed(turn)
            now = self.clock.monotonic()
            if now - looked > LOOK_SECONDS:
                looked = now
                if resting.over(self.store, turn.strand):
                    return self._ended(claim)
            if over or now - began > self.pace.seconds_a_claim:
                return self._hand_on(turn)

    def _ended(self, claim: Claim) -> Sequence[str]:
        self.store.commit([], None, state=[_ended(claim.work)])
        return claim.follow

    def abandon(self, work: Work, reason: str) -> Sequence[str]:
        """Fault the run: what cannot be driven after so many tries is not the workflow's to catch."""
        turn = self._turn(claim := Claim(work))
        if turn is None:
            return self._ended(claim)
        strand = turn.strand
        lost = unfinished(strand)
        strand.frames, strand.state = [], "faulted"
        strand.problem = {**fault("runtime", reason).problem, "instance": "/"}
        machine = Machine(turn.setting, strand, self._now())
        if strand.wait is not None:
            machine.left.append(strand.wait)
            strand.wait = None
        self._commit(turn, machine, None, lost=lost)
        return turn.claim.follow

    # -- one claim ----------------------------------------------------------------------------------------------------

    def _turn(self, claim: Claim) -> Turn | None:
        work = claim.work
        run_id = work.subject.rpartition("/")[0]
        run = runs.read(self.store, run_id)
        row = self.store.state(rows.KIND, [work.subject]).get(work.subject)
        if run is None or row is None or run.ended or run.state == runs.SUSPENDED:
            return None
        packing = rows.Rows(self.store, run_id)
        strand = packing.of(row)
        if strand.ended or resting.over(self.store, strand):
            return None
        plan = self.definitions.plan(run.text("workflow"))
        setting = Setting(
            plan,
            run_id,
            self._input(run, strand),
            run.began,
            self.expressions,
            self.secrets,
            self.limits,
            self.clock.entropy,
        )
        return Turn(claim, run, strand, packing, setting, row.value)

    def _input(self, run: Run, strand: Strand) -> Json:
        # A first strand that has not begun holds the raw input already.
        if strand.count == 0 and not strand.frames and not strand.parent:
            return strand.data
        return runs.value(self.store, run.id, run.entity, "input")

    def _goes_on(self, turn: Turn) -> bool:
        strand, now = turn.strand, self._now()
        return strand.state == READY or any(frame["due"] <= now for frame in strand.frames if "due" in frame)

    def _answer(self, turn: Turn) -> Answer | None:
        wait = turn.strand.wait
        if wait is None:
            return None
        if wait["kind"] == "call":
            call = turn.call(wait, self._now())
            try:
                kind = self.calls.kind(call.name)
                if "handle" in wait:
                    return kind.look(call, wait["handle"])
                found = self._asked(turn, kind, call)
            except Fault as error:
                return {"problem": {"instance": call.reference, **error.problem}}
            if isinstance(found, Begun):
                self._park_call(turn, found)
                return kind.look(call, found.handle)
            return found
        return answers.look(self.store, turn.strand, self._now(), self.limits.gathered_max)

    def _asked(self, turn: Turn, kind: Kind, call: Call) -> Begun | Answer:
        """What beginning a call gives, or gave before a commit was lost; how long a registered function took is remembered."""
        known = turn.claim.answered.get(call.number)
        if known is not None and known[:2] == (call.name, call.arguments):
            return known[2]
        holding.alone(self.store, self.clock, turn.claim)
        brisk = self._brisk(call, kind)
        # While it is under way nobody knows how long it takes this time.
        self.taken.pop(call.name, None)
        began = self.clock.monotonic()
        try:
            found = kind.begin(call) if brisk else apart(lambda: kind.begin(call))
        finally:
            if kind is self.calls.functions:
                self.taken[call.name] = self.clock.monotonic() - began
        if kind.quick and not isinstance(found, Begun):
            turn.claim.answered[call.number] = (call.name, call.arguments, found)
        return found

    def _brisk(self, call: Call, kind: Kind) -> bool:
        """Whether what a call answers may share the commit of what went before it: a function that was not slow of late."""
        return kind is self.calls.functions and self.taken.get(call.name, SLOW_SECONDS) < SLOW_SECONDS

    def _advance(self, turn: Turn, answer: Answer | None) -> None:
        strand = turn.strand
        record = Record(self.store, turn.run)
        machine = Machine(
            turn.setting, strand, self._now(), past=lambda number: record.has(strand.id, number),
            startable=lambda wanted: startable(self.store, self.definitions, turn, wanted),
        )  # fmt: skip
        waited = strand.wait
        # Also where its very first step faulted and a person takes it up again: no step of it was committed.
        if not strand.frames and not strand.parent:
            machine.begin()
        machine.advance(answer, self.pace.tasks_a_commit)
        # Where nothing that was done stands behind it uncommitted, the first quick call goes into the same commit.
        shares = not machine.steps or (waited is not None and waited["kind"] == "timer")
        begun = self._begin(turn, machine, shares) if strand.wait is not None and strand.wait is not waited else None
        with one_by_one(strand, self.pace):
            self._commit(turn, machine, begun, waited if strand.wait is not waited else None)

    def _begin(self, turn: Turn, machine: Machine, shares: bool) -> Begun | None:
        """Begin a call that has effects, so that its proposal and the waiting for it are one commit.

        Of quick calls it asks one where the turn `shares` its commit; each further one has a commit of its own.
        """
        strand, record = turn.strand, Record(self.store, turn.run)
        for _ in range(self.limits.depth_max + self.pace.tasks_a_commit):
            wait = strand.wait
            past = record.answer(strand) if wait is not None else None
            if past is not None:
                machine.passed(past, self.pace.tasks_a_commit)
                continue
            if (
                wait is not None
                and wait["kind"] == "run"
                and (problem := unfit(self.store, self.definitions, turn, wait)) is not None
            ):
                machine.passed(problem, self.pace.tasks_a_commit)
                continue
            if wait is None or wait["kind"] != "call":
                return None
            call = turn.call(wait, self._now())
            try:
                kind = self.calls.kind(call.name)
                if kind.quick and not (shares and self._brisk(call, kind)):
                    # Before the commit: it takes away the timer by which another may hold the strand, and ask already.
                    holding.alone(self.store, self.clock, turn.claim)
                    return None
                shares = shares and not kind.quick
                found = self._asked(turn, kind, call)
                machine.now = self._now()
            except (Fault, InputError) as error:
                problem = error.problem if isinstance(error, Fault) else fault("configuration", str(error)).problem
                machine.advance({"problem": {"instance": call.reference, **problem}}, self.pace.tasks_a_commit)
                continue
            if isinstance(found, Begun):
                self._waits(machine, found)
                return found
            machine.advance(found, self.pace.tasks_a_commit)
        return None

    def _waits(self, machine: Machine, begun: Begun) -> None:
        strand = machine.strand
        wait = strand.wait or {}
        strand.wait = {"kind": "call", "n": wait["n"], "call": wait["call"], "handle": dict(begun.handle)}
        if begun.until is not None:
            strand.wait["until"] = begun.until
        frame = strand.frames[-1]
        machine.record(frame, machine.setting.plan.task(frame["p"]), "waiting")
        frame["known"] = True

    def _park_call(self, turn: Turn, begun: Begun) -> None:
        """A quick call that after all leaves something to wait for."""
        machine = Machine(turn.setting, turn.strand, self._now())
        self._waits(machine, begun)
        self._commit(turn, machine, begun)

    # -- commits ------------------------------------------------------------------------------------------------------

    def _commit(
        self, turn: Turn, machine: Machine, begun: Begun | None, waited: Mapping[str, Any] | None = None,
        lost: Sequence[Write] = (),
    ) -> None:  # fmt: skip
        strand, run, now = turn.strand, turn.run, machine.now
        writes = list(lost)
        # INVARIANT I11: the controls as they were when this claim looked, so that after a stop no step is committed.
        expects: dict[str, int] = {**turn.controls, run.id: run.version}
        state: list[StateWrite] = []
        for step in machine.steps:
            put, kept = runs.step(strand, self._shown(step))
            if not step.known and put.id not in expects:
                # INVARIANT I3: a step is made once.
                expects[put.id] = ABSENT
            writes.append(put)
            state += kept
        parked = park(self.store, self.definitions, turn, machine, begun)
        left = [*machine.left, *([waited] if waited is not None and waited not in machine.left else [])]
        tidied = tidy(self.store, self.calls, turn, machine, left)
        # Before the step that gave them up, so that a reader of the log never sees it end while they wait.
        writes = [*tidied.writes, *writes, *parked.writes]
        state += tidied.rows
        state += parked.rows
        follow = list(parked.follow)
        if strand.ended:
            done = finish(self.store, self.clock, self.definitions, turn, now)
            writes += done.writes
            state += [*done.rows, _ended(turn.work)]
            follow += done.follow
        else:
            packed = turn.rows.write(strand)
            state += packed
            turn.before = packed[-1].value or {}
            moved = resting.moved(run, strand)
            if moved is not None:
                writes.append(run.move(moved))
        self._put(turn, writes, expects, state)
        turn.claim.follow += follow

    def _shown(self, step: Step) -> Step:
        """A step as it goes on record: without the values of secrets."""
        if not self.secrets:
            return step
        return replace(step, output=hidden(step.output, self.secrets), problem=hidden(step.problem, self.secrets))

    def _put(self, turn: Turn, writes: list[Write], expects: dict[str, int], state: list[StateWrite]) -> None:
        strand, run = turn.strand, turn.run
        cause = turn.cause(self.clock.id()) if writes else None
        renewed = replace(turn.work, since=self._now(), until=self._now() + turn.work.until - turn.work.since)
        if not strand.ended:
            # INVARIANT I7: whoever lost the claim takes no step, so the strand never loses the work that drives it.
            state.append(renewed.write())
        unique = {(row.kind, row.key): row for row in state}
        commit = self.store.commit(writes, cause, expects, list(unique.values()))
        strand.revision += 1
        turn.commits += 1
        turn.claim.answered.clear()
        turn.claim.work = renewed.committed()
        for write in writes:
            if isinstance(write, Put) and write.id == run.id:
                turn.run = run.moved(write, commit.versions[run.id])

    def _rest(self, turn: Turn) -> Sequence[str]:
        """Nothing more can be done now: end the work, or come again when it is due."""
        due = turn.strand.due()
        now = self._now()
        state = [_ended(turn.work)]
        if due is not None:
            timer = replace(work_of(turn.strand.run, turn.strand.id, timer_of(turn.strand)), until=due)
            if turn.work.id == timer.id:
                # The wall clock went back and brought the timer too early: it waits again.
                raise RetryLater("it is not due yet", max(0.001, (due - now) / 1_000_000), counted=False)
            if timer.id not in self.store.state(WORK, [timer.id]):
                # It came due while the run was suspended, and then the clock went back.
                state.append(timer.first(now))
        self.store.commit([], None, state=state)
        return self._hushed(turn)

    def _hushed(self, turn: Turn) -> Sequence[str]:
        """The strand goes no further now; where nothing else of its run does, that waits."""
        run = turn.run
        if run.state == runs.RUNNING and resting.quiet(self.store, run.id, self._now(), turn.work.id):
            # Whoever goes on meanwhile moves the run itself, and this comes too late.
            # It only says how the run stands; the strand's own commit is done, and what ails the store must not undo its success.
            with suppress(ConflictError, StoreError):
                self.store.commit([run.move(runs.WAITING)], turn.cause(self.clock.id()), {run.id: run.version})
        return turn.claim.follow

    def _hand_on(self, turn: Turn) -> Sequence[str]:
        """The claim used up its share: others come first, then the strand goes on."""
        next_ = work_of(turn.strand.run, turn.strand.id, f"on{turn.strand.revision}")
        self.store.commit([], None, state=[_ended(turn.work), next_.first(self._now())])
        return [*turn.claim.follow, next_.id]

    def _now(self) -> int:
        return micros(self.clock.now())


def _ended(work: Work) -> StateWrite:
    """The removal of work that is done: its ids are made of what they wake, and are never asked for again."""
    # INVARIANT I7: whoever lost the claim does not end it.
    return StateWrite(WORK, work.id, None, expect=work.revision)
