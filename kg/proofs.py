"""Proofs for others: a bundle that shows, offline and with the public key alone, that changes are in a signed ledger.

Invariant I13: a bundle is checked by hashing only what it holds: leaf text, salts and texts that open its commitments, the path
to the root, the signed checkpoint. The single-file verifier (`verifier/noesis_verify.py`) is the reader it is made for; the
format is described there. Puts in what the caller chose to show: a View's business, not ours.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from kg import checkpoints, ledger
from kg.errors import InputError
from kg.evidence import OPENINGS_MAX, Evidence, Node, Opening
from kg.model import Entity
from kg.store import GraphStore
from kg.values import Json

FORMAT: Final = "noesis-bundle/1"
#: Which personal values of an opening are shown: told the leaf's subject and the property.
Shown = Callable[[Opening, str], bool]


def inclusion(evidence: Evidence, index: int, size: int) -> list[bytes]:
    """The audit path of one change (from 0) in the tree of the first `size`, in one call of the store."""
    return _resolved(evidence, lambda fetch: ledger.inclusion_proof(index, size, fetch))


def consistency(evidence: Evidence, first: int, second: int) -> list[bytes]:
    """The proof that the tree of `first` changes is the beginning of the tree of `second`."""
    return _resolved(evidence, lambda fetch: ledger.consistency_proof(first, second, fetch))


def _resolved(evidence: Evidence, build: Callable[[ledger.Fetch], list[bytes]]) -> list[bytes]:
    wanted: list[Node] = []

    def note(level: int, place: int) -> bytes:
        wanted.append((level, place))
        return b""

    build(note)
    found = evidence.nodes(wanted)
    try:
        return build(lambda level, place: found[level, place])
    except KeyError:
        raise InputError("the ledger lacks a node of its tree; run `noesis verify`") from None


def bundle(
    store: GraphStore,
    evidence: Evidence,
    checkpoint: Entity,
    positions: Sequence[int],
    shown: Shown = lambda _opening, _name: True,
    earlier: Sequence[Entity] = (),
    hidden: frozenset[int] = frozenset(),
) -> dict[str, Json]:
    """The bundle of these positions under a checkpoint, with proofs that earlier checkpoints are of the same ledger.

    `shown` may withhold personal values; of the positions in `hidden` only the leaf is shown. A cause is opened only where every
    change of it is shown whole.
    """
    size = int(str(checkpoint["size"]))
    wanted = sorted(set(positions))
    if not wanted or len(wanted) > OPENINGS_MAX:
        raise InputError(f"a bundle proves 1 to {OPENINGS_MAX:,} changes, not {len(wanted):,}; choose fewer")
    if wanted[-1] > size:
        raise InputError(
            f"change {wanted[-1]:,} is newer than the checkpoint of {size:,}; run `noesis checkpoint` first"
        )
    found = evidence.openings(wanted)
    if len(found) != len(wanted):
        raise InputError("some of these positions are not in the ledger; see `noesis why` for those that are")
    # The salt of a cause also covers the values that were written with it: whoever had it could try out what is withheld.
    open_ = {one.position for one in found if one.position not in hidden and all(shown(one, n) for n in one.personal)}
    causes = {
        one.cause.number: _cause(one, open_.issuperset(range(one.cause.first, one.cause.last + 1))) for one in found
    }
    return {
        "format": FORMAT,
        "checkpoint": str(checkpoint["note"]),
        "keys": [key.vkey for _, key in checkpoints.keys(store)],
        "successions": [str(key["succession"]) for key, _ in checkpoints.keys(store) if "succession" in key.properties],
        "causes": [causes[number] for number in sorted(causes)],
        "facts": [_fact(evidence, one, size, shown, hidden) for one in found],
        "earlier": [_earlier(evidence, one, size) for one in earlier],
    }


def _cause(opening: Opening, whole: bool) -> dict[str, Json]:
    form = asdict(opening.cause)
    return form if whole else form | {"salt": None, "text": None}


def _fact(evidence: Evidence, opening: Opening, size: int, shown: Shown, hidden: frozenset[int]) -> dict[str, Json]:
    path = inclusion(evidence, opening.position - 1, size)
    closed = opening.position in hidden
    personal = {n: list(o) for n, o in opening.personal.items() if not closed and shown(opening, n)}
    rest = list(opening.rest) if opening.rest is not None and not closed else None
    return {
        "position": opening.position,
        "cause": opening.cause.number,
        "leaf": opening.leaf,
        "path": [node.hex() for node in path],
        "rest": rest,
        "personal": personal,
    }


def _earlier(evidence: Evidence, checkpoint: Entity, size: int) -> dict[str, Json]:
    first = int(str(checkpoint["size"]))
    return {"checkpoint": str(checkpoint["note"]), "path": [node.hex() for node in consistency(evidence, first, size)]}


def positions_of(store: GraphStore, entities: Iterable[Entity], size: int) -> list[int]:
    """The positions of these entity versions, and of every change of the causes that made them, up to a size."""
    found: set[int] = set()
    causes: set[str] = set()
    for entity in entities:
        for change in store.changes(entity.since - 1, 1):
            found.add(change.position)
            causes.add(change.cause)
    for cause in sorted(causes):
        found |= {change.position for change in store.caused(cause)}
    return sorted(position for position in found if position <= size)


def summary(document: Mapping[str, Json]) -> str:
    """One line that says what a bundle holds."""
    return f"{len(document['facts']):,} changes of {len(document['causes']):,} causes"
