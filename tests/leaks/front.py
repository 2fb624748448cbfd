"""One world behind the real front: GraphQL over HTTP and WebSocket in this process, with the index filled from its feed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from starlette.testclient import TestClient

from api.app import create_app
from api.graphql.ids import entity_id
from api.graphql.schema import Schema, build_schema
from api.platform import Noesis
from api.settings import Settings
from governance.view import GovernedView
from kg.embedders.hashing import HashingEmbedder
from kg.indexer import Indexer
from kg.store import GraphStore
from tests.leaks.worlds import World, words
from tests.oracles.graph import DictStore
from tests.oracles.index import MemoryIndex
from tests.parts import ManualClock

SETTINGS = Settings(page_nested=3, depth_max=20)
#: Numbers of the index's vectors: few words need few.
DIMENSION = 64


@cache
def schema() -> Schema:
    return build_schema(words(), SETTINGS)


@dataclass
class Front:
    """A world, its store, and whoever asks of it over the network."""

    world: World
    store: GraphStore = field(init=False)
    index: MemoryIndex = field(init=False)
    embedder: HashingEmbedder = field(init=False)
    http: TestClient = field(init=False)

    def __post_init__(self) -> None:
        clock = ManualClock()
        self.store = self.world.fill(DictStore(words(), clock))
        self.embedder = HashingEmbedder(DIMENSION)
        self.index = MemoryIndex(self.embedder)
        Indexer(self.store, self.index, self.embedder, words()).run()
        platform = Noesis(
            store=self.store,
            ontology=words(),
            clock=clock,
            settings=SETTINGS,
            rules=lambda: self.world.rules,
            view=lambda principal, _=None: GovernedView(principal, self.world.rules, words()),
            authenticate=lambda key, _=None: self.world.principal,
            index=self.index,
            embedder=self.embedder,
        )
        app = create_app(platform, schema())
        self.http = TestClient(app, base_url="http://127.0.0.1:8400", client=("127.0.0.1", 50_000))
        self.http.headers["Authorization"] = "Bearer anyone"

    def ask(self, query: str) -> tuple[int, Any]:
        """Status and body of an answer; what differs by time alone is left out."""
        answer = self.http.post("/graphql", json={"query": query})
        return answer.status_code, answer.json()

    def follow(self, query: str, count: int) -> list[Any]:
        """The first results of a subscription."""
        with self.http.websocket_connect(
            "ws://127.0.0.1:8400/graphql", subprotocols=["graphql-transport-ws"]
        ) as socket:
            socket.send_json({"type": "connection_init", "payload": {}})
            told = [socket.receive_json()]
            socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": query}})
            while len(told) <= count:
                message = socket.receive_json()
                if message["type"] != "ping":
                    told.append(message)
                if message["type"] in ("error", "complete"):
                    break
        return told


def shown(value: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every entity within an answer: its id, its class, and what is told of it."""
    if isinstance(value, dict):
        if isinstance(value.get("id"), str) and "masked" in value:
            yield entity_id(value["id"]), str(value.get("class")), value
        for item in value.values():
            yield from shown(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from shown(item)


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
