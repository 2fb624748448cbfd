"""Settling: takes a proposal from made to denied, superseded, waiting, or carried out.

Invariants: I4 the allowing decision and the intent of the effect (for the graph: the effect itself) are one commit, which expects
the rule book, the controls, the agent and the target at the versions that were decided on; I11 therefore nothing begins after
an acknowledged stop. I3 the commit expects the proposal's version and that it has no effect yet. Decides by `gate` alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from typing import Final

from coordination import conflicts, effects, merging, policies, refusals, tallies, works
from coordination.bounds import Bounds
from coordination.codec import derive
from coordination.conflicts import Loss, Meeting
from coordination.errors import HeldError, RetryLater
from coordination.gate import Answers, Basis, Gate
from coordination.policies import Policies, Policy
from coordination.proposals import GRAPH, OPEN, PROPOSAL, Proposal
from coordination.sandbox import would
from coordination.works import Work, micros
from governance.budgets import Plan
from governance.verdict import Requirement, Verdict
from kg import tracing
from kg.clock import Clock
from kg.errors import ConflictError, InputError
from kg.model import ABSENT, Cause, Input, Link, Op, StateWrite, Where, Write
from kg.store import GraphStore
from kg.values import Ref

#: States from which a proposal may still be settled.
_UNSETTLED: Final = frozenset({"proposed", "conflicted", "waiting_approval", "approved"})
CONFLICT: Final = "conflict"
#: How often a proposal looks again whether an entity that another holds is free.
CLAIMED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """What one look at a proposal leads to: writes, what they expect, and the work that follows."""

    activity: str
    writes: Sequence[Write]
    reason: str = ""
    expects: Mapping[str, int] = field(default_factory=dict)
    follow: Sequence[Work] = ()
    decision: str = ""
    cause: str = ""
    rows: Sequence[StateWrite] = ()


@dataclass(frozen=True, slots=True)
class Settling:
    """The task that settles proposals. `choosers` are the roles, with counts, that may choose between equal proposals."""

    store: GraphStore
    clock: Clock
    gate: Gate
    bounds: Bounds
    choosers: Mapping[str, int]

    def run(self, work: Work) -> Sequence[str]:
        """Look at the proposal and commit what follows; a lost race is looked at again, a bounded number of times."""
        for _ in range(self.bounds.race_tries_max):
            try:
                return self._once(work)
            except ConflictError as error:
                if work.id in error.found:
                    raise
        raise RetryLater(f"proposal {work.subject} changed each time it was looked at")

    def abandon(self, work: Work, reason: str) -> Sequence[str]:
        """Fail the proposal where it is still open."""
        proposal = self._read(work.subject)
        if proposal is None or proposal.state not in _UNSETTLED:
            return self._commit(work.failed(reason), proposal, None)
        step = Step("settle.fail", [proposal.move("failed", reason)], reason, follow=self._freed(work, proposal))
        return self._commit(work.failed(reason), proposal, step)

    def _once(self, work: Work) -> Sequence[str]:
        proposal = self._read(work.subject)
        if proposal is None or proposal.state not in _UNSETTLED:
            return self._commit(work.done(), proposal, None)
        step = self._step(work, proposal)
        try:
            return self._commit(work.done(), proposal, step)
        except InputError as error:
            # The graph refuses the writes: that is the proposal's fault, and final.
            reason = f"it cannot be applied: {error}"
            failed = Step("settle.fail", [proposal.move("failed", reason)], reason, follow=self._freed(work, proposal))
            return self._commit(work.done(), proposal, failed)

    def _step(self, work: Work, proposal: Proposal) -> Step | None:
        answers = self.gate.answers(proposal)
        if answers.rejected:
            return self._rejected(work, proposal, answers.rejected)
        basis = self.gate.basis(proposal)
        # INVARIANT I4: people and delegations behind the approvals are held as they were read.
        held = {id: version for approval in answers.approvals for id, version in approval.held}
        basis = replace(basis, expects={**basis.expects, **held})
        if basis.gone:
            return self._end(work, proposal, "expired", basis.gone)
        if basis.held:
            raise HeldError(basis.held)
        proposal = replace(proposal, shadow=bool(basis.standing.shadow))
        if basis.claimed:
            raise RetryLater(basis.claimed, CLAIMED_SECONDS, counted=False)
        began = self.clock.monotonic()
        with tracing.span(tracing.DECIDE, proposal=proposal.id, agent=proposal.text("agent")) as span:
            verdict = self.gate.judge(proposal, basis, answers.approvals)
            span.set("verdict", verdict.outcome)
        basis = replace(basis, latency=int((self.clock.monotonic() - began) * 1_000_000))
        if verdict.outcome == "deny":
            return self._denied(work, proposal, basis, verdict)
        return self._meet(work, proposal, answers, basis, verdict)

    def _meet(self, work: Work, proposal: Proposal, answers: Answers, basis: Basis, verdict: Verdict) -> Step | None:
        """What follows for a proposal that is not denied, among the others on its target."""
        meeting, known = self._meeting(proposal, basis)
        if basis.standing.shadow and not verdict.allowed:
            return self._shadowed(proposal, basis, verdict)
        if meeting.by is not None or meeting.merged:
            return self._outdone(proposal, meeting, known.of(proposal.text("operation"), basis.resource.cls))
        if meeting.undecided and not self._chosen(proposal, answers, basis):
            return self._conflicted(work, proposal, basis, meeting)
        plan, verdict = self._afforded(proposal, basis, answers, verdict)
        if not verdict.allowed:
            denied = verdict.outcome == "deny"
            return (
                self._denied(work, proposal, basis, verdict)
                if denied
                else self._wait(work, proposal, basis, verdict, meeting)
            )
        room = self.gate.room(proposal, basis)
        if room.reason:
            raise RetryLater(room.reason, room.seconds, counted=False)
        # INVARIANT I4: nobody answered since the answers were read; who had said no would see it happen all the same.
        plan = replace(plan, rows=(*plan.rows, *room.rows, *answers.heard))
        try:
            return self._begin(proposal, basis, verdict, meeting, plan)
        except InputError as error:
            return self._end(work, proposal, "failed", f"it cannot be applied: {error}")

    def _afforded(self, proposal: Proposal, basis: Basis, answers: Answers, verdict: Verdict) -> tuple[Plan, Verdict]:
        """What the effect takes from its budgets, and the verdict where they have not enough: wait, ask or deny."""
        plan = self.gate.afford(proposal, basis, answers) if verdict.allowed else Plan()
        if plan.refused is None:
            return plan, verdict
        if plan.refused.when_out == "wait":
            raise HeldError(plan.reason)
        required = (plan.refused.required(),) if plan.refused.when_out == "ask" else ()
        return plan, Verdict("needs_approval" if required else "deny", required=required, reason=plan.reason)

    def _denied(self, work: Work, proposal: Proposal, basis: Basis, verdict: Verdict) -> Step:
        decision = self.gate.record(proposal, basis, verdict)
        writes: list[Write] = [proposal.move("denied", verdict.reason, outcome=verdict.outcome), *decision.writes]
        return Step("decide", writes, verdict.reason, basis.expects, self._freed(work, proposal), decision.id)

    def _shadowed(self, proposal: Proposal, basis: Basis, verdict: Verdict) -> Step:
        """In shadow nobody is asked: what people would have been asked is on record, and the proposal ends."""
        decision = self.gate.record(proposal, basis, verdict)
        reason = f"{basis.standing.shadow}: nobody is asked; it would have waited ({verdict.reason})"
        writes: list[Write] = [proposal.move("simulated", reason, outcome=verdict.outcome), *decision.writes]
        return Step("decide", writes, reason, basis.expects, (), decision.id)

    def _rejected(self, work: Work, proposal: Proposal, reason: str) -> Step:
        entity = self.store.get([proposal.text("target")]).get(proposal.text("target"))
        operation = proposal.text("operation")
        policy = policies.load(self.store, [operation], entity.cls if entity else "").of(
            operation, entity.cls if entity else ""
        )
        rows = refusals.row(proposal, reason, micros(self.clock.now()), policy.remember)
        return replace(self._end(work, proposal, "rejected", reason), rows=rows)

    def _outdone(self, proposal: Proposal, meeting: Meeting, policy: Policy) -> Step:
        """The proposal ends here: another one stands above it, or for it."""
        loss = meeting.by
        if loss is None:
            return self._merged(proposal, meeting)
        writes = (proposal.move("superseded", loss.reason), Link(proposal.id, "conflictsWith", loss.rival.id))
        now, winner = micros(self.clock.now()), loss.rival
        rows = refusals.row(proposal, loss.reason, now, policy.remember, winner.id) if loss.remembered else []
        return Step("settle.conflict", writes, loss.reason, {winner.id: winner.version}, rows=rows)

    def _merged(self, proposal: Proposal, meeting: Meeting) -> Step:
        """One new proposal instead of several, which is settled like any other."""
        parts = [proposal, *meeting.merged]
        put = merging.merged(parts)
        reason = f"merged with {', '.join(part.id for part in parts[1:4])} into {put.id}"
        writes: list[Write] = [put]
        for part in parts:
            writes += [part.move("superseded", f"merged into {put.id}"), Link(part.id, "mergedInto", put.id)]
        expects = {part.id: part.version for part in parts} | {put.id: ABSENT}
        return Step("settle.merge", writes, reason, expects, [works.settle(put.id, agent=str(put.set["agent"]))])

    def _end(self, work: Work, proposal: Proposal, state: str, reason: str) -> Step:
        return Step(f"settle.{state}", [proposal.move(state, reason)], reason, follow=self._freed(work, proposal))

    def _conflicted(self, work: Work, proposal: Proposal, basis: Basis, meeting: Meeting) -> Step | None:
        if proposal.state == "conflicted":
            return self._still(work, proposal)
        names = ", ".join(rival.id for rival in meeting.undecided)
        reason = f"as weighty as {names}; a person chooses"
        required = (Requirement(CONFLICT, dict(self.choosers)),)
        verdict = Verdict("needs_approval", required=required, reason=reason)
        decision = self.gate.record(proposal, basis, verdict)
        writes = [
            proposal.move("conflicted", reason, outcome=verdict.outcome),
            *decision.writes,
            *(Link(proposal.id, "conflictsWith", rival.id) for rival in meeting.undecided),
        ]
        expects = {rival.id: rival.version for rival in meeting.undecided}
        return Step("decide", writes, reason, expects, self._reminder(proposal, decision.id, verdict), decision.id)

    def _wait(self, work: Work, proposal: Proposal, basis: Basis, verdict: Verdict, meeting: Meeting) -> Step | None:
        beaten, expects, rows = self._beaten(proposal, basis, meeting)
        if proposal.state == "waiting_approval" and not beaten and self.gate.unchanged(proposal, verdict):
            return self._still(work, proposal)
        decision = self.gate.record(proposal, basis, verdict)
        writes = [
            proposal.move("waiting_approval", verdict.reason, outcome=verdict.outcome),
            *decision.writes,
            *beaten,
        ]
        expects = {**expects, **basis.expects}
        reminder = self._reminder(proposal, decision.id, verdict)
        return Step("decide", writes, verdict.reason, expects, reminder, decision.id, rows=rows)

    def _begin(self, proposal: Proposal, basis: Basis, verdict: Verdict, meeting: Meeting, plan: Plan) -> Step:
        """The commit with which the effect begins, or for the graph: with which it happens."""
        decision = self.gate.record(proposal, basis, verdict)
        beaten, expects, forgotten = self._beaten(proposal, basis, meeting)
        rows = [*plan.rows, *forgotten]
        graph = proposal.text("effector") == GRAPH
        undone, versions = effects.original(self.store, proposal, "done" if graph else "intent")
        # INVARIANT I4, I11: rule book, controls, agent and target as they were decided on, in the very commit that begins.
        # INVARIANT I3: the proposal has no effect yet.
        expects = {**proposal.expects, **expects, **basis.expects, **versions, effects.effect_id(proposal): ABSENT}
        cause = derive("apply", proposal.id)
        reason = proposal.text("rationale")
        if not graph:
            moved = proposal.move("applying", verdict.reason, outcome=verdict.outcome)
            writes = [moved, *decision.writes, *effects.intention(proposal), *beaten, *undone]
            follow = [works.effect(effects.effect_id(proposal), proposal.text("agent"))]
            return Step("intend", writes, reason, expects, follow, decision.id, cause, rows)
        if proposal.sandbox:
            moved = proposal.move("simulated", verdict.reason, outcome=verdict.outcome)
            receipt = effects.receipt_text(would(self.store, self.gate.ontology, proposal.writes))
            done = effects.intention(proposal, "simulated", receipt=receipt)
            writes = [moved, *decision.writes, *done, *beaten]
            return Step("simulate", writes, reason, expects, (), decision.id, cause, forgotten)
        moved = proposal.move("applied", verdict.reason, outcome=verdict.outcome)
        done = effects.intention(proposal, "done", reference=cause)
        writes = [moved, *decision.writes, *done, *beaten, *undone, *proposal.writes]
        return Step("apply", writes, reason, expects, (), decision.id, cause, rows)

    def _still(self, work: Work, proposal: Proposal) -> Step | None:
        """Nothing new: the proposal waits on, unless the time to answer is over."""
        answerable = self.gate.answerable(proposal)
        if answerable.over:
            return self._end(work, proposal, "expired", answerable.over)
        if work.id == works.settle(proposal.id, answerable.decision).id:
            # The wall clock went back and brought the reminder too early: it waits again.
            raise RetryLater("the time to answer is not over", answerable.seconds, counted=False)
        return None

    def _reminder(self, proposal: Proposal, decision: str, verdict: Verdict) -> list[Work]:
        """Work that looks again when the time to approve is over."""
        due = micros(self.clock.now()) + int(self.gate.answer_seconds(verdict) * 1_000_000)
        return [replace(works.settle(proposal.id, decision, proposal.text("agent")), until=due)]

    def _chosen(self, proposal: Proposal, answers: Answers, basis: Basis) -> bool:
        required = Requirement(CONFLICT, dict(self.choosers))
        return proposal.state == "conflicted" and self.gate.satisfied(required, answers, basis)

    def _meeting(self, proposal: Proposal, basis: Basis) -> tuple[Meeting, Policies]:
        """How the proposal stands among the others on its target, and the policies that say so.

        A rival that the rules deny anyhow beats nobody. Who beats it is asked about first: mostly that settles it.
        """
        cls, operation = basis.resource.cls, proposal.text("operation")
        open_ = [rival for rival in self._open(proposal, OPEN) if not conflicts.compatible(proposal, rival)]
        # What leaves nothing stands in nobody's way, and nobody in its.
        rivals = [rival for rival in open_ if rival.id != proposal.id and rival.sandbox == proposal.sandbox]
        known = policies.load(self.store, [operation, *(rival.text("operation") for rival in rivals)], cls)
        self._heard(proposal, known.of(operation, cls))
        between = partial(known.between, cls=cls)
        by_id = {rival.id: rival for rival in rivals}

        @cache
        def hopeless(id: str) -> bool:
            return by_id[id].state == "proposed" and self.gate.hopeless(by_id[id])

        if not conflicts.needs_all([between(operation, rival.text("operation")) for rival in rivals]):
            meeting = conflicts.meet(proposal, rivals, between)
            if not any(hopeless(rival.id) for rival in meeting.met):
                return meeting, known
        rivals = [rival for rival in rivals if not hopeless(rival.id)]
        return conflicts.meet(proposal, rivals, between), known

    def _heard(self, proposal: Proposal, policy: Policy) -> None:
        """Wait until the time for rivals to speak up is over; raises RetryLater before."""
        if not policy.window or proposal.state != "proposed":
            return
        (made,) = self.store.versions([(proposal.id, 1)]).values()
        over = self.store.changes(made.since - 1, 1)[0].at + timedelta(seconds=policy.window)
        left = (over - self.clock.now()).total_seconds()
        if left > 0:
            raise RetryLater("others may propose on this target until its window closes", left, counted=False)

    def _freed(self, work: Work, proposal: Proposal) -> list[Work]:
        """Proposals that stood against this one and may go on now that it ends."""
        rivals = self._open(proposal, ("conflicted",))
        because = derive(work.id, work.revision)
        return [works.settle(rival.id, because, rival.text("agent")) for rival in rivals if rival.id != proposal.id]

    def _beaten(
        self, proposal: Proposal, basis: Basis, meeting: Meeting
    ) -> tuple[list[Write], dict[str, int], list[StateWrite]]:
        """The writes that supersede the rivals a proposal beats, the versions they expect, and what is remembered of them."""
        chosen = [Loss(rival, f"a person chose {proposal.id}", True) for rival in meeting.undecided]
        losses = [*meeting.beaten, *chosen]
        writes: list[Write] = []
        rows: list[StateWrite] = []
        cls, now = basis.resource.cls, micros(self.clock.now())
        known = policies.load(self.store, [loss.rival.text("operation") for loss in losses], cls) if losses else None
        for loss in losses:
            rival = loss.rival
            writes += [rival.move("superseded", loss.reason), Link(rival.id, "conflictsWith", proposal.id)]
            if loss.remembered and known is not None:
                seconds = known.of(rival.text("operation"), cls).remember
                # What a person chose against is refused by that person, whatever becomes of the other.
                rows += refusals.row(rival, loss.reason, now, seconds, "" if loss in chosen else proposal.id)
        unique = {row.key: row for row in rows}
        return writes, {loss.rival.id: loss.rival.version for loss in losses}, list(unique.values())

    def _open(self, proposal: Proposal, states: Sequence[str]) -> list[Proposal]:
        where = [
            Where("target", Op.EQ, Ref(proposal.text("target"))),
            Where("state", Op.IN, tuple(states)),
        ]
        return [Proposal(entity) for entity in self.store.find(PROPOSAL, where, first=self.bounds.rivals_max).items]

    def _read(self, id: str) -> Proposal | None:
        entity = self.store.get([id]).get(id)
        return None if entity is None else Proposal(entity)

    def _commit(self, work: Work, proposal: Proposal | None, step: Step | None) -> Sequence[str]:
        if proposal is None or step is None:
            self.store.commit([], None, state=[work.write()])
            return ()
        now = micros(self.clock.now())
        follow: list[StateWrite] = [item.first(now) for item in step.follow]
        # INVARIANT I3, I7: the proposal as it was looked at, and the claim still held.
        expects = {**step.expects, proposal.id: proposal.version}
        rows = [work.write(), *follow, *step.rows]
        self.store.commit(step.writes, _cause(self.clock, work, proposal, step), expects, rows)
        tallies.tell(step.writes)
        return [row.key for row in follow if row.due is not None and row.due <= now]


def _cause(clock: Clock, work: Work, proposal: Proposal, step: Step) -> Cause:
    used = dict.fromkeys((Input(proposal.id, proposal.version), *proposal.evidence))
    attributes = {"depth": proposal.number("depth"), "proposal": proposal.id, "work": work.id}
    if step.decision:
        attributes["decision"] = step.decision
    who = (
        f'Agent::"{proposal.text("agent")}"'
        if step.activity in ("apply", "intend", "simulate")
        else 'Service::"coordination"'
    )
    return Cause(step.cause or clock.id(), step.activity, who, step.reason, inputs=tuple(used), attributes=attributes)
