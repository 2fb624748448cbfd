"""The answer to "why": a frozen tree of nodes that reads as plain text and as JSON.

Invariant: a node that is withheld holds nothing but the fact that it is there. Knows neither stores nor Views: it is what
`kg.lineage` draws and `kg.prov` exports.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kg.values import Json

WITHHELD = "withheld"
TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class Why:
    """One node: what it is, in words and in data, and what it rests on.

    `kind` is entity, change, record, cause, agent or truncated. `node` is stable and unique in a store; it is empty where
    `withheld` or truncated. `via` is the PROV term that leads here from the node above. `repeated` says that the node is
    explained elsewhere in the tree.
    """

    node: str
    kind: str
    label: str
    children: "tuple[Why, ...]" = ()
    details: Mapping[str, Json] = field(default_factory=dict)
    via: str = ""
    withheld: bool = False
    repeated: bool = False

    def walk(self) -> "Iterator[Why]":
        """This node and all below it, top first."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def truncated(self) -> bool:
        """Whether something further back was left out because of a limit."""
        return any(node.kind == TRUNCATED for node in self.walk())

    def line(self) -> str:
        """This node alone, as text."""
        return self.label + (" (explained elsewhere)" if self.repeated else "")

    def lines(self) -> list[str]:
        """The tree as plain text, one node a line."""
        return [self.line(), *_branches(self.children, "")]

    def json(self) -> Json:
        """The tree as JSON."""
        return {
            "node": self.node,
            "kind": self.kind,
            "label": self.label,
            "via": self.via,
            "withheld": self.withheld,
            "repeated": self.repeated,
            "details": dict(self.details),
            "children": [child.json() for child in self.children],
        }


def _branches(children: Sequence[Why], indent: str) -> list[str]:
    lines: list[str] = []
    for place, child in enumerate(children, 1):
        last = place == len(children)
        lines.append(f"{indent}{'└─ ' if last else '├─ '}{child.line()}")
        lines += _branches(child.children, indent + ("   " if last else "│  "))
    return lines
