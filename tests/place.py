"""Where the graph of a test stands that names no store: the oracle, and with the fixture `on_both` a real Neo4j server too."""

from collections.abc import Callable
from typing import Any

from kg.clock import Clock
from kg.store import Schema
from tests.oracles.graph import DictStore

make: Callable[[Schema, Clock], Any] = DictStore
