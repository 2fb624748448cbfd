"""Undoing a graph effect: the writes that take back what its commit changed, made from the change log.

Invariant: only what that commit changed is taken back, and only where it still stands as it was left, which the versions to expect
hold; what somebody changed since, or what an erased or personal value would have to come back for, is a person's to decide.
"""

from collections.abc import Sequence

from coordination.errors import GiveUp
from coordination.proposals import Proposal
from kg.model import Change, Close, Entity, Kind, Link, Put, Unlink, Write
from kg.ontology import Ontology
from kg.store import PAGE_MAX, GraphStore


def undo_writes(
    store: GraphStore, ontology: Ontology, proposal: Proposal, cause: str
) -> tuple[tuple[Write, ...], dict[str, int]]:
    """The writes that undo a commit of a proposal, last change first, and the entity versions that they rest on.

    Raises GiveUp, with the reason in words, where they cannot be made.
    """
    subjects = {write.id if isinstance(write, Put | Close) else write.source for write in proposal.writes}
    changes = store.caused(cause, PAGE_MAX)
    if len(changes) == PAGE_MAX:
        raise GiveUp(f"it changed {PAGE_MAX:,} things or more, which is too much to undo at once; undo it by hand")
    own = [change for change in changes if change.subject in subjects]
    ids = list(dict.fromkeys(change.subject for change in own))
    now = store.get(ids)
    writes: list[Write] = []
    for change in reversed(own):
        if change.relation is not None and change.target is not None:
            make = Unlink if change.kind is Kind.LINKED else Link
            writes.append(make(change.subject, change.relation, change.target))
        elif (undone := _entity(store, ontology, change, now)) is not None:
            writes.append(undone)
    return tuple(writes), {id: now[id].version for id in ids if id in now}


def _entity(store: GraphStore, ontology: Ontology, change: Change, now: dict[str, Entity]) -> Write | None:
    id, present = change.subject, now.get(change.subject)
    if change.kind is Kind.CLOSED:
        return _reopened(store, ontology, change, present)
    if present is None:
        raise GiveUp(f"{id} is not there any more; undo it by hand")
    if change.kind is Kind.CREATED:
        if present.version != change.version:
            raise GiveUp(f"{id} was made by it and changed since; undo it by hand")
        return Close(id)
    left = _version(store, id, change.version)
    before = _version(store, id, change.version - 1)
    names = [name for name in change.changed if present.get(name) != before.get(name)]
    since = sorted(name for name in names if present.get(name) != left.get(name))
    if since:
        raise GiveUp(f"{', '.join(since)} of {id} changed since; undo it by hand")
    _impersonal(ontology, before.cls, names)
    back = {name: before.properties[name] for name in names if name in before.properties}
    gone = frozenset(name for name in names if name not in before.properties)
    return Put(id, present.cls, back, gone) if names else None


def _reopened(store: GraphStore, ontology: Ontology, change: Change, present: Entity | None) -> Write:
    if present is not None:
        raise GiveUp(f"{change.subject} was closed by it and opened again since; undo it by hand")
    before = _version(store, change.subject, change.version - 1)
    _impersonal(ontology, before.cls, list(before.properties))
    return Put(change.subject, before.cls, before.properties, replace=True)


def _version(store: GraphStore, id: str, version: int) -> Entity:
    found = store.versions([(id, version)]).get((id, version))
    if found is None:
        raise GiveUp(f"version {version} of {id} is not there any more; undo it by hand")
    return found


def _impersonal(ontology: Ontology, cls: str, names: Sequence[str]) -> None:
    """Refuse to copy personal values into a proposal, where they would outlive an erasing."""
    personal = sorted(set(names) & ontology.personal(cls))
    if personal:
        raise GiveUp(f"{', '.join(personal)} of {cls} is personal and is copied into no proposal; undo it by hand")
