"""A View for tests that hides rows by rule and masks properties, so that leaks show, and the stores it is tried on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kg.model import Entity
from kg.store import GraphStore
from kg.stores.sqlite import SqliteStore
from tests.oracles.graph import DictStore
from tests.parts import FreeSchema, ManualClock

Rule = Callable[[Entity], bool]


class RuleView:
    """Hides what `hide` says and masks, by class, the properties that `mask` names (where `mask_if` holds)."""

    principal = 'User::"sales"'

    def __init__(
        self,
        hide: Rule = lambda entity: False,
        mask: Mapping[str, frozenset[str]] | None = None,
        mask_if: Rule = lambda entity: True,
        hidden_classes: frozenset[str] = frozenset(),
    ) -> None:
        self._hide = hide
        self._mask = dict(mask or {})
        self._mask_if = mask_if
        self._hidden_classes = hidden_classes

    def see(self, entities: Sequence[Entity]) -> list[Entity | None]:
        return [self._one(entity) for entity in entities]

    def _one(self, entity: Entity) -> Entity | None:
        if entity.cls in self._hidden_classes or self._hide(entity):
            return None
        names = self._mask.get(entity.cls, frozenset()) & entity.properties.keys()
        if not names or not self._mask_if(entity):
            return entity
        shown = {name: value for name, value in entity.properties.items() if name not in names}
        return replace(entity, properties=shown, masked=names)

    def classes(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name not in self._hidden_classes]


def graph(kind: str, folder: Path) -> GraphStore:
    """An empty store without shapes: the oracle or the real one."""
    if kind == "oracle":
        return DictStore(FreeSchema(), ManualClock())
    return SqliteStore(folder / "graph.db", FreeSchema(), ManualClock(), durable=False)
