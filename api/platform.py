"""Noesis, the platform as the API sees it: the ports and functions that bootstrap hands in, and nothing else.

Invariant: the API reaches the store, the rules and the runtime only through this frozen object, so a test can build one from
real parts without a broker, and no module of the API chooses an adapter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api.settings import Settings
from governance.principals import Principal
from governance.rulebook import RuleBook
from kg.clock import Clock
from kg.ontology.ontology import Ontology
from kg.store import GraphStore
from kg.view import View


@dataclass(frozen=True, slots=True)
class Noesis:
    """Everything the API calls. `rules()` is the current RuleBook and `view(principal)` the governed View made with it.

    `authenticate(key)` gives the principal of an API key or raises KeyRejectedError. `runtime` and `acting` are None in a process
    without workers, `metrics` in one that nobody watches. `committed`, where the store can tell, registers a
    callback for new positions.
    """

    store: GraphStore
    ontology: Ontology
    clock: Clock
    settings: Settings
    rules: Callable[[], RuleBook]
    view: Callable[[Principal], View]
    authenticate: Callable[[str], Principal]
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
