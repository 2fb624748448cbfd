"""Revisions: the proposals that an edited one came from. Reads only; who edits and what follows is `coordination.editing`'s."""

from coordination.proposals import Proposal
from kg.store import GraphStore


def earlier(store: GraphStore, proposal: Proposal) -> list[Proposal]:
    """The proposals of which this one is an edit, the nearest first; none where nobody edited it."""
    found: list[Proposal] = []
    last = proposal
    for _ in range(proposal.number("edits")):
        edges = store.expand([last.id], "wasRevisionOf", first=1)[last.id]
        if not edges:
            break
        last = Proposal(edges[0].entity)
        found.append(last)
    return found
