"""Checkpoints: signed statements of the ledger's size and root, kept as entities, and the keys that sign them.

Invariant I13: a ledger that was cut, forked or rewritten as a whole contradicts every checkpoint signed before, wherever a copy of
one is kept. Keys hand over to their successors by a note that both sign, so trust in one key reaches all others of the same
ledger. The body is that of https://c2sp.org/tlog-checkpoint. Whoever has the database and the private key can still rewrite
both: keep checkpoints, or the witness, elsewhere.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kg import ledger
from kg.clock import Clock
from kg.errors import CheckpointError, ConflictError, InputError, KeyFileError, NoteError
from kg.evidence import Evidence
from kg.model import ABSENT, Cause, Cursor, Entity, Order, Put, State, StateWrite
from kg.signing import PublicKey, Signer, cosign, key_name, read_note, read_vkey, unbase64, write_note
from kg.store import GraphStore
from kg.values import Value

CHECKPOINT: Final = "Checkpoint"
KEY: Final = "SigningKey"
#: The machine rows of the first key, and of the newest checkpoint: its size and the position after its own commit.
STATE: Final = "checkpoint"
FIRST: Final = "first key"
LAST: Final = "last"
#: Keys of one ledger.
KEYS_MAX: Final = 1_000
PAGE: Final = 500
_SIZE = re.compile(r"(0|[1-9]\d{0,18})\Z")
_SUCCESSION: Final = "noesis key succession v1"


@dataclass(frozen=True, slots=True)
class Tree:
    """What a checkpoint says: the ledger's name, how many changes it had, and the root over them."""

    origin: str
    size: int
    root: bytes


def body(tree: Tree) -> str:
    """The text of a checkpoint."""
    return f"{tree.origin}\n{tree.size}\n{base64.b64encode(tree.root).decode()}\n"


def read_body(text: str) -> Tree:
    """What a checkpoint's text says; NoteError where it is no checkpoint."""
    lines = text.split("\n")
    try:
        origin, size, encoded, *more = lines
        root = unbase64(encoded)
    except (ValueError, NoteError):
        raise NoteError("the note is no checkpoint; give one that `noesis checkpoint` made") from None
    if not origin or not _SIZE.match(size) or len(root) != 32 or not more or more[-1] or "" in more[:-1]:
        raise NoteError("the note is no checkpoint; give one that `noesis checkpoint` made")
    return Tree(origin, int(size), root)


def keys(store: GraphStore) -> list[tuple[Entity, PublicKey]]:
    """The keys of this ledger, oldest first."""
    found = store.find(KEY, first=KEYS_MAX).items
    return [(entity, read_vkey(str(entity["publicKey"]))) for entity in sorted(found, key=lambda key: key.since)]


def origin(store: GraphStore, wanted: str | None, clock: Clock) -> str:
    """The ledger's name: the one it has, else the wanted one, else a new one."""
    known = keys(store)
    if known:
        return known[-1][1].name
    return key_name(wanted or f"noesis.local/{clock.id()}")


def introduce(store: GraphStore, clock: Clock, signer: Signer, by: str) -> Entity:
    """The entity of the signer's key, made where the ledger has none yet; KeyFileError where another key is the current one.

    Of two that make the first one at once one is late: ConflictError.
    """
    known = keys(store)
    if not known:
        id = clock.id()
        fresh = Put(id, KEY, {"origin": signer.name, "publicKey": signer.public.vkey}, valid_from=clock.now())
        # Two first keys would be two beginnings, and no anchor vouches for both: expect makes them meet in this row.
        first = StateWrite(STATE, FIRST, {"id": id}, expect=ABSENT)
        store.commit([fresh], Cause(clock.id(), "checkpoint.key", by, "the first key of this ledger"), state=[first])
        return store.get([id])[id]
    if known[-1][1].raw == signer.public.raw and known[-1][1].name != signer.name:
        raise ConflictError("another process named this ledger just now; sign again")
    if known[-1][1] != signer.public:
        raise KeyFileError(
            f"the key given is not the one that signs this ledger ({known[-1][1].id.hex()}); give that one, or hand over with "
            "`noesis checkpoint rotate`"
        )
    return known[-1][0]


def rotate(store: GraphStore, clock: Clock, old: Signer, new: Signer, by: str) -> None:
    """Hand over from one key to the next: both sign it, the old one's validity ends, the new one's begins."""
    entity = introduce(store, clock, old, by)
    text = f"{_SUCCESSION}\n{old.name}\n{old.public.vkey}\n{new.public.vkey}\n"
    note = write_note(text, (old, new))
    now = clock.now()
    fresh: dict[str, Value] = {"origin": new.name, "publicKey": new.public.vkey, "succession": note}
    writes = [
        Put(entity.id, KEY, valid_from=entity.valid_from, valid_to=now),
        Put(clock.id(), KEY, fresh, valid_from=now),
    ]
    store.commit(writes, Cause(clock.id(), "checkpoint.rotate", by, "key handed over"), {entity.id: entity.version})


def trusted(store: GraphStore, anchor: PublicKey | None) -> list[PublicKey]:
    """The keys of this ledger that the anchor vouches for, directly or along successions; all where there is no anchor."""
    known = [key for _, key in keys(store)]
    if anchor is None:
        return known
    notes = [str(entity["succession"]) for entity, _ in keys(store) if "succession" in entity.properties]
    pairs = [succession(note) for note in notes]
    reached = {anchor}
    for _ in range(len(pairs)):
        reached |= {key for pair in pairs if reached & set(pair) for key in pair}
    strangers = [key for key in known if key not in reached]
    if strangers:
        raise CheckpointError(
            f"key {strangers[0].id.hex()} of this ledger is not vouched for by {anchor.id.hex()}: the ledger is another one, or "
            "was rewritten; keep both as evidence and restore a backup"
        )
    return sorted(reached, key=lambda key: key.vkey)


def succession(note: str) -> tuple[PublicKey, PublicKey]:
    """The old and the new key of a succession note, checked to be signed by both; NoteError else."""
    lines = note.split("\n")
    if len(lines) < 5 or lines[0] != _SUCCESSION:
        raise NoteError("the note hands no key over; take it again from where it was made")
    old, new = read_vkey(lines[2]), read_vkey(lines[3])
    if set(read_note(note, (old, new)).signed) != {old, new}:
        raise NoteError("the handing over of the key is not signed by both keys; take it again from where it was made")
    return old, new


def sign(
    store: GraphStore, clock: Clock, signer: Signer, by: str, witness: Signer | None = None, reason: str = ""
) -> Entity:
    """Sign the ledger as it is now and keep the checkpoint as an entity; InputError where there is nothing to sign."""
    key = introduce(store, clock, signer, by)
    last = store.state(STATE, [LAST]).get(LAST)
    head = store.head()
    note = write_note(body(Tree(signer.name, head.position, head.root)), (signer,))
    if witness is not None:
        note = cosign(note, witness, int(clock.now().timestamp()))
    encoded = base64.b64encode(head.root).decode()
    values: dict[str, Value] = {"origin": signer.name, "size": head.position, "root": encoded, "note": note}
    id = clock.id()
    row = {"size": head.position, "at": int(clock.now().timestamp()), "id": id}
    # Of two processes that sign at once one is late and keeps nothing: expect makes them meet in this row.
    state = [StateWrite(STATE, LAST, row, expect=last.revision if last is not None else 0)]
    # A key that hands over meanwhile signs nothing any more.
    expects = {key.id: key.version}
    store.commit([Put(id, CHECKPOINT, values)], Cause(clock.id(), "checkpoint", by, reason), expects, state)
    return store.get([id])[id]


def unsigned(store: GraphStore) -> tuple[int, int | None]:
    """How many changes came since the newest checkpoint, and when that was made (seconds; None: never)."""
    last: State | None = store.state(STATE, [LAST]).get(LAST)
    if last is None:
        return store.head().position, None
    # The checkpoint's own change is no reason for another.
    return store.head().position - last.value["size"] - 1, last.value["at"]


def stored(store: GraphStore) -> Iterator[Entity]:
    """Every checkpoint of the graph, by size."""
    after: Cursor | None = None
    while True:
        page = store.find(CHECKPOINT, (), Order("size"), after, PAGE)
        yield from page.items
        if page.next is None:
            return
        after = page.next


def newest(store: GraphStore) -> Entity | None:
    """The checkpoint of the largest size."""
    found = store.find(CHECKPOINT, (), Order("size", descending=True), first=1).items
    return found[0] if found else None


def compare(store: GraphStore, evidence: Evidence, note: str, known: Sequence[PublicKey]) -> Tree:
    """Whether the ledger still is what a checkpoint was signed for; CheckpointError where it was cut, forked or rewritten."""
    read = read_note(note, known)
    tree = read_body(read.text)
    if not any(key.name == tree.origin for key in read.signed):
        raise CheckpointError(
            f"the checkpoint of {tree.size:,} changes is signed by no key that this ledger's key vouches for; compare with the "
            "ledger it belongs to"
        )
    head = store.head()
    if tree.size > head.position:
        raise CheckpointError(
            f"the ledger was cut back: a checkpoint was signed at {tree.size:,} changes, and there are only {head.position:,}; "
            "restore a backup and keep this file as evidence"
        )
    if root_at(evidence, tree.size) != tree.root:
        raise CheckpointError(
            f"the ledger was rewritten: its first {tree.size:,} changes are not those that were signed; restore a backup and keep "
            "this file as evidence"
        )
    return tree


def root_at(evidence: Evidence, size: int) -> bytes:
    """The root of the tree over the first `size` changes."""
    wanted = ledger.edge(size)
    found = evidence.nodes(wanted)
    try:
        return ledger.root_of({level: found[level, place] for level, place in wanted}, size)
    except KeyError:
        raise CheckpointError(f"the ledger has no tree of {size:,} changes; run `noesis verify`") from None


def verify_all(
    store: GraphStore, evidence: Evidence, anchor: PublicKey | None = None, elsewhere: Sequence[str] = ()
) -> int:
    """Compare stored checkpoints and those kept elsewhere with the ledger; how many; CheckpointError at the first that differs."""
    known = trusted(store, anchor)
    count = 0
    for entity in stored(store):
        compare(store, evidence, str(entity["note"]), known)
        count += 1
    for note in elsewhere:
        compare(store, evidence, note, known)
        count += 1
    return count


def split(text: str) -> list[str]:
    """The notes of a file to which checkpoints were appended."""
    found: list[str] = []
    current: list[str] = []
    for line in text.splitlines(keepends=True):
        if current and not line.startswith("— ") and current[-1].startswith("— "):
            found.append("".join(current))
            current = []
        current.append(line)
    if current:
        found.append("".join(current))
    if not found:
        raise InputError("the file holds no checkpoint; give one that `noesis checkpoint` wrote")
    return found
