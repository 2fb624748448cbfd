"""KPIs of agents: the figures of `kpis` over what an agent proposed, computed from its proposals, decisions and approvals alone.

Invariant: a transaction is one proposal; good is one that was applied, failed one that failed or expired. What was simulated, and
what gave way to a newer proposal or a rival, counts as neither.
"""

from datetime import datetime
from typing import Final

from coordination.kpis import Incident, Report, Transaction, asked_of, decisions_of, every, figures, moment, tokens_of
from coordination.proposals import OPEN, PROPOSAL
from kg.model import Entity, Op, Where
from kg.store import GraphStore

_FAILED: Final = frozenset({"failed", "expired", "in_doubt"})


def agent_kpis(store: GraphStore, name: str, since: datetime | None = None) -> Report:
    """The figures of an agent by name."""
    found: list[tuple[Entity, datetime, datetime]] = []
    for entity in every(store, PROPOSAL, [Where("agent", Op.EQ, name)]):
        (first,) = store.versions([(entity.id, 1)]).values()
        made = moment(store, first)
        if not entity.get("sandbox") and entity["state"] != "simulated" and (since is None or made >= since):
            found.append((entity, made, moment(store, entity)))
    applied = [(str(entity["target"]), at) for entity, _, at in found if entity["state"] == "applied"]
    counted = [_transaction(store, entity, made, at, applied) for entity, made, at in found]
    return Report(name, len(counted), figures(counted, None))


def _transaction(
    store: GraphStore, entity: Entity, made: datetime, at: datetime, applied: list[tuple[str, datetime]]
) -> Transaction:
    state = str(entity["state"])
    seconds = None if state in OPEN else (at - made).total_seconds()
    incidents: tuple[Incident, ...] = ()
    if state in _FAILED:
        later = [moment_ for target, moment_ in applied if target == entity["target"] and moment_ >= at]
        repaired = (min(later) - at).total_seconds() if later else None
        incidents = (Incident((at - made).total_seconds(), repaired),)
    asked = asked_of(store, decisions_of(store, entity.id))
    return Transaction(state == "applied", state in _FAILED, seconds, asked, tokens_of(entity), incidents)
