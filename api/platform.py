"""Noesis, the platform as the API sees it: the ports and functions that bootstrap hands in, and nothing else.

Invariant: the API reaches the store, the rules and the runtime only through this frozen object, so a test can build one from
real parts without a broker, and no module of the API chooses an adapter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from api.settings import Settings
from governance.principals import Principal
from governance.rulebook import RuleBook
from kg.clock import Clock
from kg.ontology.ontology import Ontology
from kg.store import GraphStore, Head
from kg.view import View


class Viewing(Protocol):
    """Makes the View of a principal by the rules of this moment; `end` is the end of the log, where it was read already."""

    def __call__(self, principal: Principal, end: Head | None = None) -> View:
        """What the principal may see."""


class Authenticating(Protocol):
    """Says who a bearer text stands for; raises KeyRejectedError. `end` as in Viewing."""

    def __call__(self, key: str, end: Head | None = None) -> Principal:
        """Whom the key or token speaks for."""


@dataclass(frozen=True, slots=True)
class Noesis:
    """Everything the API calls. `rules()` is the current RuleBook and `view(principal)` the governed View made with it.

    `authenticate(key)` gives the principal of an API key or raises KeyRejectedError. Who has read the end of the log already hands
    it to both. `runtime` and `acting` are None in a process
    without workers, `metrics` in one that nobody watches. `committed`, where the store can tell, registers a
    callback for new positions.
    """

    store: GraphStore
    ontology: Ontology
    clock: Clock
    settings: Settings
    rules: Callable[[], RuleBook]
    view: Viewing
    authenticate: Authenticating
    evidence: Any = None
    index: Any = None
    embedder: Any = None
    runtime: Any = None
    worker: Any = None
    acting: Any = None
    metrics: Any = None
    committed: Callable[[Callable[[int], None]], None] | None = None
    closing: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Stop and release everything behind the platform."""
        self.closing()
