"""Port View: what one principal may see, asked on every road that leads out of the shared graph.

Invariant I10: search, lists, lineage, context and export pass the same View as the detail path; there is no default View.
The implementation lives in `governance.view`; kg only asks.
"""

from collections.abc import Sequence
from typing import Protocol

from kg.model import Entity


class View(Protocol):
    """The rows and properties that a principal may read."""

    @property
    def principal(self) -> str:
        """Who reads, e.g. ``User::"anna"``."""

    def see(self, entities: Sequence[Entity]) -> list[Entity | None]:
        """Aligned with the input: the entity as this principal may see it (masked properties removed and named), or None."""

    def classes(self, names: Sequence[str]) -> list[str]:
        """Those of the classes of which some entity may be visible: a cheap pre-filter, never the decision."""
