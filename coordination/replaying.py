"""Replaying decisions on proposals: what a proposal was to create and to touch, as it was when it was decided.

Invariant: reads only versions of then; writes nothing. The decision itself is made again by `governance.replay`.
"""

from coordination.proposals import Proposal
from governance.replay import Replayed, replay
from governance.rulebook import RuleBook
from governance.verdict import Resource
from kg.model import Close, Direction, Entity, Link, Put, Unlink, Write
from kg.ontology import Ontology
from kg.store import GraphStore


def replay_decision(store: GraphStore, ontology: Ontology, decision: Entity, today: RuleBook | None = None) -> Replayed:
    """Make any recorded decision again; one on a proposal with everything that the proposal was to change."""
    edges = store.expand([decision.id], "decidedBy", Direction.IN, first=1)[decision.id]
    if not edges:
        return replay(store, ontology, decision, today)
    proposal = Proposal(edges[0].entity)
    target, made = str(decision.get("target", "")), _made(proposal)
    ids = [id for id in dict.fromkeys(_subject(write) for write in proposal.writes) if id != target]
    there = store.get(ids, at=decision.since - 1)
    touched = [thing for id in ids if (thing := there.get(id) or made.get(id)) is not None]
    return replay(store, ontology, decision, today, made.get(target), touched)


def _made(proposal: Proposal) -> dict[str, Resource]:
    return {write.id: Resource(write.cls, write.id, write.set) for write in proposal.writes if isinstance(write, Put)}


def _subject(write: Write) -> str:
    match write:
        case Put() | Close():
            return write.id
        case Link() | Unlink():
            return write.source
