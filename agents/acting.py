"""Acting over the agents loaded in this process: makes the governed Context of one act, lets the agent think, checks its drafts.

Invariant: a draft leaves only if its operation is a declared capability and its evidence was handed out in this very act,
so nothing can be cited that was not known. Writes nothing and decides nothing.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from types import MappingProxyType

from agents.agent import Agent
from agents.answering import answer
from agents.context import Context, Search
from agents.errors import AgentError, AgentFaultError
from agents.models.model import Answer as ModelAnswer
from agents.models.model import Meter, Model
from coordination.acting import NOWHERE, AgentCard, Answer, Assignment, ContextRecord, Within
from coordination.errors import AnswerError
from coordination.proposals import Draft
from kg.model import Change, Entity
from kg.reader import Reader
from kg.store import GraphStore
from kg.values import Json
from kg.view import View

#: The time of a graph that has no change yet.
MADE = datetime.fromtimestamp(0, UTC)
#: Proposals one act may make.
DRAFTS_MAX = 100


@dataclass(frozen=True, slots=True)
class Loaded:
    """An agent with the SHA-256 of its module's source."""

    agent: Agent
    digest: str


@dataclass(frozen=True, slots=True)
class LocalActing:
    """Port `coordination.acting.Acting` in this process.

    `views(name)` gives the View of an agent by the rules of this moment; `searches(view)` the governed search, None where
    there is none; `leaving` shows an entity as a model may see it.
    """

    store: GraphStore
    loaded: Mapping[str, Loaded]
    views: Callable[[str], View]
    searches: Callable[[View], Search] | None = None
    model: Model | None = None
    leaving: Callable[[Entity], dict[str, Json]] | None = None
    meter: Meter | None = None
    #: What was told already: an agent and a class of which it was woken and could see nothing.
    blind: set[tuple[str, str]] = field(default_factory=set, compare=False)

    def agents(self) -> Mapping[str, AgentCard]:
        """Every agent that can act here: one that needs a model is left out while none is configured."""
        usable = {
            name: _card(item)
            for name, item in self.loaded.items()
            if self.model is not None or not getattr(item.agent, "needs_model", False)
        }
        return MappingProxyType(usable)

    def act(
        self, agent: str, change: Change, entity: Entity, at: int, within: Within = NOWHERE
    ) -> tuple[tuple[Draft, ...], ContextRecord]:
        """Let the agent act at a position; an entity it may not see gives no drafts."""
        item = self.loaded.get(agent)
        if item is None:
            raise AgentError(f"no agent is called {agent!r} here; load its module or retire its work")
        view = self.views(agent)
        context = self._context(agent, f"{agent}\x1f{change.position}\x1f{entity.id}", at, view, within)
        seen = view.see([entity])[0]
        if seen is None:
            self._tell_blind(agent, entity.cls)
            return (), record(context)
        context.note(seen)
        drafts = _drafts(item.agent, change, seen, context)
        return tuple(_checked(item.agent, draft, context) for draft in drafts), record(context)

    def ask(self, agent: str, assignment: Assignment, at: int) -> tuple[Answer, ContextRecord]:
        """Let the agent answer at a position."""
        item = self.loaded.get(agent)
        if item is None:
            raise AnswerError(f"no agent is called {agent!r} here; load its module, or ask another")
        context = self._context(agent, f"{agent}\x1f{assignment.key}", at, self.views(agent), assignment.within)
        return answer(item.agent, assignment, context), record(context)

    def _tell_blind(self, agent: str, cls: str) -> None:
        """Say once that an agent is woken in vain: nothing else shows that a rule is missing."""
        if (agent, cls) not in self.blind:
            self.blind.add((agent, cls))
            logging.getLogger(__name__).warning(
                "agent %s was woken on a %s that it may not see, and did nothing; if it should, a rule permits it to read: "
                'permit (principal == Agent::"%s", action == Action::"read", resource is %s)',
                agent, cls, agent, cls,
            )  # fmt: skip

    def _context(self, agent: str, work: str, at: int, view: View, within: Within) -> Context:
        last = self.store.changes(at - 1, 1)
        return Context(
            work=work,
            agent=agent,
            position=at,
            now=last[0].at if last else MADE,
            reader=Reader(self.store, view, at),
            searching=self.searches(view) if self.searches is not None else None,
            model=self.model,
            leaving=self.leaving,
            meter=self.meter,
            within=within,
        )


def _card(item: Loaded) -> AgentCard:
    agent = item.agent
    return AgentCard(
        agent.name, agent.version, agent.department, agent.wakes, agent.capabilities, agent.priority, item.digest,
        Decimal(str(getattr(agent, "cost", 0))), float(getattr(agent, "latency", 0.0)),
        tuple(getattr(agent, "exclusive", ())),
    )  # fmt: skip


def _drafts(agent: Agent, change: Change, entity: Entity, context: Context) -> tuple[object, ...]:
    """What the agent hands in, which may be anything: an endless generator is read no further than the bound."""
    try:
        handed: object = agent.act(change, entity, context)
    except SystemExit as error:
        # It would end the worker's thread, and with it everybody else's work.
        raise AgentFaultError(f"agent {agent.name!r} tried to end the process; let it return its drafts") from error
    if not isinstance(handed, Iterable):
        raise AgentError(f"agent {agent.name!r} handed in {type(handed).__name__}; let it return a sequence of drafts")
    drafts = tuple(islice(handed, DRAFTS_MAX + 1))
    if len(drafts) > DRAFTS_MAX:
        raise AgentError(f"agent {agent.name!r} made more than {DRAFTS_MAX} proposals in one act; make fewer")
    return drafts


def _checked(agent: Agent, draft: object, context: Context) -> Draft:
    if not isinstance(draft, Draft):
        raise AgentError(f"agent {agent.name!r} handed in {type(draft).__name__} among its drafts; hand in drafts only")
    confidence: object = draft.confidence
    if not isinstance(confidence, Decimal):
        raise AgentError(
            f"agent {agent.name!r} gave a {type(confidence).__name__} as confidence; give a Decimal from 0 to 1"
        )
    if draft.operation not in agent.capabilities:
        raise AgentError(
            f"agent {agent.name!r} proposed {draft.operation!r}, which it does not declare; add it to its capabilities"
        )
    unread = set(draft.evidence) - set(context.read)
    if unread:
        named = ", ".join(sorted(f"{item.id}@{item.version}" for item in unread)[:3])
        raise AgentError(f"agent {agent.name!r} cites {named}, which it did not read; cite what the context gave")
    return draft


def record(context: Context) -> ContextRecord:
    """What an act knew, for the decision's record."""
    return ContextRecord(context.digest(), context.position, context.read, _model(context.answers))


def _model(answers: Sequence[ModelAnswer]) -> Mapping[str, Json]:
    if not answers:
        return {}
    return {
        "model": answers[0].model,
        "calls": [
            {
                "prompt": answer.prompt,
                "answer": answer.digest,
                "tokensIn": answer.tokens_in,
                "tokensOut": answer.tokens_out,
                "requests": answer.requests,
            }
            for answer in answers
        ],
    }
