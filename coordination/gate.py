"""Gate: the one place where coordination asks governance. It builds the request, has it decided by the rules of this moment, and
records the decision.

Invariants: I4 `basis` reads the versions of rule book, controls, agent and target before it reads their content, and the commit
that begins an effect expects them, so what was decided on is what holds. I5, I6 are `governance.decide`'s. Commits nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, cast

from coordination import claims, effects, outgoing, switches
from coordination.proposals import GRAPH, Proposal
from coordination.revisions import earlier
from coordination.starters import starter
from governance import approvals as answering
from governance import budgets, throttles
from governance.budgets import Budget, Plan
from governance.controls import Standing, workflow_of
from governance.decide import decide_over
from governance.decisions import record, requirements
from governance.errors import PrincipalError
from governance.principals import Principal, load_principal
from governance.quorum import merge, satisfied
from governance.rulebook import RuleBook
from governance.rules import BOOK, load_rules
from governance.throttles import Room
from governance.verdict import Approved, Request, Requirement, Resource, Verdict
from kg.clock import Clock
from kg.model import ABSENT, Close, Entity, Input, Link, Put, StateWrite, Write
from kg.ontology import Ontology
from kg.store import GraphStore
from kg.values import Money, Value

#: Decisions of one proposal whose answers count.
DECISIONS_MAX: Final = 100
#: Entities beyond the target that one proposal may touch.
TOUCHED_MAX: Final = 200
#: Ids that the platform makes from names; whoever took one first would keep a rule, a switch or an answer from being.
RESERVED: Final = (
    "approval-", "breakglass-", "budget-", "claim-", "conflicts-", "control-", "ontology-", "reads-", "rule-",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answers:
    """What people said: approvals in force, why where somebody rejected, and rows that fail where another answer came since."""

    approvals: tuple[Approved, ...] = ()
    rejected: str = ""
    heard: tuple[StateWrite, ...] = ()


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decision rests on: rules, principal, resource, and the versions that the commit must expect.

    `gone` says in words why the proposal has no basis any more, `held` which control holds it, `refused` why it is denied whatever
    the rules say; each is empty where that is not so. `touched` are the other entities that its writes would change;
    `standing` is what the controls say; `latency` is the microseconds that judging took; `budgets` are those from which the effect
    takes, `claimed` says who else holds what it would change.
    """

    rules: RuleBook
    principal: Principal
    resource: Entity | Resource
    expects: Mapping[str, int]
    touched: Sequence[Entity | Resource] = ()
    refused: str = ""
    gone: str = ""
    held: str = ""
    latency: int = 0
    budgets: Sequence[Budget] = ()
    claimed: str = ""
    standing: Standing = field(default_factory=Standing)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The id of a decision and the writes that put it on record, linked to its proposal."""

    id: str
    writes: tuple[Write, ...] = ()


@dataclass(frozen=True, slots=True)
class Answerable:
    """The last decision that asked people, how long it may still be answered, and, once that is past, so in words."""

    decision: str = ""
    seconds: float = 0.0
    over: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """Asks governance on behalf of coordination."""

    store: GraphStore
    clock: Clock
    ontology: Ontology
    approval_seconds: float

    def held(self, agent: str, department: str | None) -> str | None:
        """Why this agent may not begin anything now, None where it may."""
        held = switches.over_agent(self.store, agent, department).held
        return switches.words(agent, held) if held else None

    def basis(self, proposal: Proposal) -> Basis:
        """Everything to decide on, as it is now."""
        agent, target = proposal.text("agent"), proposal.text("target")
        # Versions first, content after: a change in between makes the commit fail, never pass.
        claimed = claims.claim_id(target)
        run = proposal.text("run")
        there = self.store.get([BOOK, budgets.BOOK, claimed, target, *([run] if run else ()), *proposal.expects])
        standing = switches.over(self.store, proposal)
        rules = load_rules(self.store, self.ontology, self.clock.now())
        fixed = {id: there[id].version if id in there else 0 for id in (BOOK, budgets.BOOK, claimed)}
        expects = {**standing.versions, **fixed}
        resource: Entity | Resource | None = there.get(target) or self._created(proposal, target)
        principal, refused = self._principals(proposal, expects)
        if isinstance(resource, Entity):
            expects[target] = resource.version
        gone = _gone(proposal, there, resource) or _over(proposal, there.get(run))
        if run in there:
            # INVARIANT I11: nothing of a run begins after its end was acknowledged.
            expects[run] = there[run].version
        touched, taken, platform = self._touched(proposal)
        expects |= {id: entity.version if entity is not None else ABSENT for id, entity in taken.items()}
        # INVARIANT I4: what is decided on in passing is held too, and what was to be new is new.
        undoes = bool(proposal.text("undoes"))
        expects |= {it.id: it.version if isinstance(it, Entity) else self._left(it.id, undoes) for it in touched}
        own = {proposal.text(name) for name in ("run", "work", "compensation")}
        known = [entity for entity in (there.get(claimed), *taken.values()) if entity is not None]
        return Basis(
            rules,
            principal,
            resource or Resource("", target),
            expects,
            touched,
            refused=refused or platform,
            gone=gone,
            held=switches.words(agent, standing.held) if standing.held else "",
            budgets=self._budgets(proposal, there.get(run)) if budgets.BOOK in there else (),
            claimed=claims.blocking(known, own, self.clock.now()),
            standing=standing,
        )

    def judge(self, proposal: Proposal, basis: Basis, approvals: Sequence[Approved]) -> Verdict:
        """The verdict on the proposal; the strictest where its writes touch more than its target.

        The target needs a permit, and so does every other entity that is there already; for new ones a forbid counts.
        """
        if basis.refused:
            return Verdict("deny", reason=basis.refused)
        request = _request(proposal, basis)
        verdict = decide_over(request, basis.touched, basis.rules, approvals)
        if verdict.outcome == "deny" or not proposal.texts("editors"):
            return verdict
        return self._as_first_asked(proposal, basis, verdict, Answers(tuple(approvals)))

    def _as_first_asked(self, proposal: Proposal, basis: Basis, verdict: Verdict, answers: Answers) -> Verdict:
        """The verdict on an edited proposal with what was asked for before the edit."""
        # INVARIANT I5: an edit adds to what people are asked, it never takes away; else who edits would be who approves.
        asked = [
            item
            for first in earlier(self.store, proposal)
            for one in self._decisions(first)
            for item in requirements(one)
        ]
        required = merge((*verdict.required, *asked))
        met = tuple(item.name for item in required if self.satisfied(item, answers, basis))
        if len(met) == len(required):
            return replace(verdict, required=required, satisfied=met)
        reason = verdict.reason if not verdict.allowed else "it was edited, and what was asked for before still holds"
        return replace(verdict, outcome="needs_approval", required=required, satisfied=met, reason=reason)

    def afford(self, proposal: Proposal, basis: Basis, answers: Answers) -> Plan:
        """What beginning the effect reserves: one call, and its amount; what people answered may let more pass."""
        if not basis.budgets or proposal.sandbox:
            return Plan()
        now, id, wants = self.clock.now(), effects.effect_id(proposal), _wants(proposal)
        held = proposal.text("effector") != GRAPH
        planned = budgets.plan(self.store, now, id, basis.budgets, wants, held=held)
        out = planned.refused
        if out is not None and out.when_out == "ask" and self.satisfied(out.required(), answers, basis):
            others = [item for item in basis.budgets if item.when_out != "ask"]
            planned = budgets.plan(self.store, now, id, others, wants, held=held)
            if planned.refused is None:
                planned = budgets.plan(self.store, now, id, basis.budgets, wants, held=held, grant=True)
        return planned

    def room(self, proposal: Proposal, basis: Basis) -> Room:
        """What beginning the effect counts against the throttles over it; what leaves nothing counts nothing."""
        return Room() if proposal.sandbox else throttles.room(self.store, self.clock.now(), basis.standing.throttles)

    def hopeless(self, proposal: Proposal) -> bool:
        """Whether the rules deny a proposal now, so that it can beat nobody."""
        basis = self.basis(proposal)
        return bool(basis.gone or basis.standing.shadow) or self.judge(proposal, basis, ()).outcome == "deny"

    def record(self, proposal: Proposal, basis: Basis, verdict: Verdict) -> Recorded:
        """A decision about to be committed."""
        id = self.clock.id()
        limits = (Input(budget.entity.id, budget.entity.version) for budget in basis.budgets)
        facts = (Input(proposal.id, proposal.version), *limits, *proposal.evidence)
        expires = None
        if verdict.outcome == "needs_approval":
            expires = self.clock.now() + timedelta(seconds=self.answer_seconds(verdict))
        made = record(
            id,
            _request(proposal, basis),
            verdict,
            facts=facts,
            latency=basis.latency,
            agent_version=proposal.text("agentVersion"),
            expires=expires,
            model=proposal.text("model") or None,
        )
        return Recorded(id, (*made, Link(proposal.id, "decidedBy", id)))

    def answer_seconds(self, verdict: Verdict) -> float:
        """How long people may answer what a verdict asks for."""
        return min((item.expires for item in verdict.required if item.expires), default=self.approval_seconds)

    def answers(self, proposal: Proposal) -> Answers:
        """What people answered to any decision on this proposal; who rejected what it is an edit of has rejected it too."""
        found: dict[str, Approved] = {}
        own = self._decisions(proposal)
        every = (*own, *(one for first in earlier(self.store, proposal) for one in self._decisions(first)))
        heard = answering.hearing(self.store, [one.id for one in every if one["outcome"] == "needs_approval"])
        for decision in every:
            for rejection in answering.answers(self.store, decision.id, "reject"):
                comment = str(rejection.get("comment", ""))
                return Answers(rejected=f"rejected by {rejection['principal']}" + (f": {comment}" if comment else ""))
        for decision in own:
            for approval in answering.given(self.store, self.clock, decision.id):
                found[approval.id] = approval
        return Answers(tuple(found.values()), heard=heard)

    def unchanged(self, proposal: Proposal, verdict: Verdict) -> bool:
        """Whether the last decision asked for the same, so that another one would say nothing new."""
        decisions = self._decisions(proposal)
        if not decisions:
            return False
        last = max(decisions, key=lambda decision: decision.since)
        required = {item.name: dict(item.approvers) for item in verdict.required}
        asked = {item.name: dict(item.approvers) for item in requirements(last)}
        return last["outcome"] == verdict.outcome and asked == required

    def answerable(self, proposal: Proposal) -> Answerable:
        """How long the last decision that asked people may still be answered."""
        asked = [item for item in self._decisions(proposal) if isinstance(item.get("expires"), datetime)]
        if not asked:
            return Answerable()
        last = max(asked, key=lambda decision: decision.since)
        end = cast(datetime, last["expires"])
        seconds = (end - self.clock.now()).total_seconds()
        over = "" if seconds > 0 else f"not answered by {end:%Y-%m-%d %H:%M} UTC; the agent has to propose again"
        return Answerable(last.id, max(0.0, seconds), over)

    def satisfied(self, requirement: Requirement, answers: Answers, basis: Basis) -> bool:
        """Whether others than the proposer fulfil a requirement."""
        # INVARIANT I5: no identity of the proposing chain counts.
        own = basis.principal.identities()
        return satisfied(requirement, [a for a in answers.approvals if not a.by.identities() & own])

    def _created(self, proposal: Proposal, target: str) -> Resource | None:
        """The target as the proposal's own writes would create it; what once was and was closed is not brought back so."""
        for write in proposal.writes:
            if isinstance(write, Put) and write.id == target and not self.store.versions([(target, 1)]):
                return Resource(write.cls, target, write.set)
        return None

    def _left(self, id: str, undoes: bool) -> int:
        """The version to expect of what is not there: an undoing may open again what was closed, nothing else may."""
        versions = self.store.history(id) if undoes else []
        return versions[-1].version if versions else ABSENT

    def _decisions(self, proposal: Proposal) -> list[Entity]:
        edges = self.store.expand([proposal.id], "decidedBy", first=DECISIONS_MAX)[proposal.id]
        return [edge.entity for edge in edges]

    def _principals(self, proposal: Proposal, expects: dict[str, int]) -> tuple[Principal, str]:
        """The agent, acting for whoever started its run; of a merged proposal for the other agents too, of an edited one for its
        editors. All must be allowed it.
        """
        agent, run = proposal.text("agent"), proposal.text("run")
        behalf: Principal | None = None
        if run:
            # INVARIANT I5: whoever started a run stands behind what it proposes, so no identity of theirs approves it.
            try:
                behalf = starter(self.store, run)
            except PrincipalError as error:
                return Principal("Agent", agent), str(error)
            self._held_as_read(behalf, expects)
        for name in proposal.texts("partners"):
            if name != agent:
                behalf, refused = self._principal(name, expects, behalf)
                if refused:
                    return behalf, refused
        for uid in proposal.texts("editors"):
            # INVARIANT I5: whoever changed what is proposed stands behind it, so no identity of theirs approves it.
            try:
                behalf = load_principal(self.store, uid, on_behalf_of=behalf)
            except PrincipalError as error:
                return Principal("Agent", agent), str(error)
            self._held_as_read(behalf, expects)
        return self._principal(agent, expects, behalf)

    @staticmethod
    def _held_as_read(behalf: Principal | None, expects: dict[str, int]) -> None:
        # INVARIANT I4: the version read before the roles, so that a role taken meanwhile makes the commit fail.
        links = behalf.chain() if behalf is not None else ()
        expects |= {link.entity: link.version for link in links if link.entity is not None}

    def _principal(self, agent: str, expects: dict[str, int], behalf: Principal | None = None) -> tuple[Principal, str]:
        try:
            principal = load_principal(self.store, f'Agent::"{agent}"', on_behalf_of=behalf)
        except PrincipalError as error:
            return Principal("Agent", agent), str(error)
        if principal.entity is not None:
            expects[principal.entity] = principal.version
        return principal, ""

    def _budgets(self, proposal: Proposal, run: Entity | None) -> list[Budget]:
        agent, department, tool = (proposal.text(name) for name in ("agent", "department", "effector"))
        lying = budgets.scopes(agent, department, proposal.text("run"), workflow_of(run), tool)
        return budgets.over(self.store, lying, _wants(proposal))

    def _touched(self, proposal: Proposal) -> tuple[list[Entity | Resource], dict[str, Entity | None], str]:
        """The other entities that the writes would change, claims on them, and why an agent may not where one is the platform's."""
        target, made = proposal.text("target"), {}
        ids: dict[str, None] = {}
        for write in proposal.writes:
            ids[_subject(write)] = None
            if isinstance(write, Put):
                made[write.id] = Resource(write.cls, write.id, write.set)
        names = [claims.claim_id(id) for id in ids if id != target]
        found = self.store.get([*ids, *names])
        taken = {name: found.pop(name, None) for name in names}
        touched = [thing for id in ids if id != target and (thing := found.get(id) or made.get(id)) is not None]
        for thing in (*touched, *found.values(), *made.values()):
            known = self.ontology.classes.get(thing.cls)
            if known is not None and known.platform:
                return [], {}, f"an agent writes no {thing.cls}: it belongs to the platform"
        for id in made.keys() - found.keys():
            if id.startswith(RESERVED):
                return [], {}, f"the id {id[:80]} is made by the platform; take one from the context"
        if len(touched) > TOUCHED_MAX:
            return [], {}, f"it would change {len(touched):,} entities beside its target; the bound is {TOUCHED_MAX}"
        return touched, taken, ""


def _wants(proposal: Proposal) -> dict[str, Decimal]:
    amount = proposal.amount
    money = {f"money:{amount.currency}": amount.amount} if amount is not None and amount.amount > 0 else {}
    return {"calls": Decimal(1), **money}


def _subject(write: Write) -> str:
    if isinstance(write, Put | Close):
        return write.id
    return write.source


def _gone(proposal: Proposal, there: Mapping[str, Entity], resource: Entity | Resource | None) -> str:
    if resource is None:
        return f"{proposal.text('target')} is not there any more"
    for id, version in proposal.expects.items():
        found = there[id].version if id in there else 0
        if found != version:
            return f"{id} is at version {found}, the proposal rests on {version}"
    return ""


def _over(proposal: Proposal, run: Entity | None) -> str:
    """Why nothing more of a run begins; what undoes its effects goes on."""
    if run is None or run.get("state") != "cancelled" or proposal.text("undoes"):
        return ""
    return f"run {run.id} was cancelled"


def _request(proposal: Proposal, basis: Basis) -> Request:
    context: dict[str, Value] = {
        "operation": proposal.text("operation"),
        "effect": proposal.text("effector"),
        "confidence": proposal.confidence,
        "priority": proposal.number("priority"),
    }
    amount: Money | None = proposal.amount
    if amount is not None:
        context["amount"] = amount
    return Request(basis.principal, "apply", basis.resource, {**context, **outgoing.leaving(proposal)})
