"""Port Evidence: what a store gives to prove its ledger to others, and the one way in which values leave it.

Invariants: I13, an opening holds exactly the bytes that were hashed, so whoever gets it can hash them again; I14, `forget` takes
values and salts out for good and leaves every leaf, and so every proof, as it was. Decides nothing: who may be forgotten, and
what has to stay, is governance's part.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from kg.model import Commit
from kg.store import Request
from kg.values import Value

#: Nodes and openings of one call.
NODES_MAX: Final = 10_000
OPENINGS_MAX: Final = 10_000

Node = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A cause as the chain binds it. `salt` (hexadecimal) and `text` open its commitment; both None once erased."""

    number: int
    at: str
    first: int
    last: int
    prior: str
    commitment: str
    request: str
    salt: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Opening:
    """One change: the text of its leaf, and what opens the commitments in it, each a salt (hexadecimal) and a text.

    `rest` opens the non-personal part (origin and properties), None where a relation ended or where it was erased. `personal`
    opens the values by property; a name that the leaf has and this has not was erased.
    """

    position: int
    leaf: str
    rest: tuple[str, str] | None
    personal: Mapping[str, tuple[str, str]]
    cause: Sealed


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What to erase: every personal value of the subjects, and what repeats them in texts that are about them.

    `held` maps an id that may not be touched to the reason; `retained` a class to the instant (text) after which its rows stay;
    `kept` names classes that are never touched (rules, keys, the record of erasures).
    """

    erasure: str
    subjects: frozenset[str]
    held: Mapping[str, str] = field(default_factory=dict)
    retained: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Revised:
    """A current entity that an erasure will touch: the personal properties that go, and what stays of the others that change.

    None in `changed` says that the property goes.
    """

    id: str
    cls: str
    subject: bool
    drop: frozenset[str]
    changed: Mapping[str, Value | None]


#: Gives the commit by which the touched entities change in the open, before their past is erased.
Revise = Callable[[Sequence[Revised]], Request | None]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What an erasure did. `touched` are the entities whose texts changed, `stayed` what was found and left, with its reason.

    `counts` is keyed by what was erased (``Customer``, ``relation``, ``cause``, ``state reject`` …), `digest` covers every row.
    """

    touched: tuple[str, ...]
    counts: Mapping[str, int]
    stayed: Mapping[str, str]
    digest: str
    values: int


class Evidence(Protocol):
    """What every store offers beside GraphStore. Safe to call from several threads and processes."""

    def nodes(self, wanted: Sequence[Node]) -> dict[Node, bytes]:
        """The roots of these complete subtrees (level, place) of the ledger; level 0 is a leaf's hash."""

    def openings(self, positions: Sequence[int]) -> list[Opening]:
        """The changes at these positions with what opens them, in order of position; unknown ones are left out."""

    def forget(
        self, forgetting: Forgetting, revise: Revise, record: Callable[[Forgotten], Request]
    ) -> tuple[Forgotten, Commit]:
        """Commit what `revise` gives, erase, and commit what `record` gives, in one transaction; then clean what the engine keeps.

        Raises what `commit` raises; then nothing was erased.
        """

    def residue(self, texts: Sequence[str]) -> list[str]:
        """The files of this store that still hold one of these texts, where the store can tell."""
