"""Sets a project up: its ontology, people, agents, rules and controls become facts of the graph.

Invariant: running it again changes only what the project's files changed, so it is also the upgrade. Rules are added under the
operator's name and stay as they are once there; retiring one is a decision of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

from agents.acting import Loaded
from agents.loading import check_wakes
from api.bootstrap import agent_modules, open_store
from api.settings import Settings
from api.texts import platform_texts, project_texts, read_text
from governance import controls
from governance.people import ensure_principal, import_people
from governance.peoplefile import People, read_people
from governance.principals import Principal
from governance.rulefiles import import_rules, read_rules, split
from kg.clock import Clock, SystemClock
from kg.errors import ConflictError
from kg.ontology import Ontology, load
from kg.ontology.stored import store_texts
from kg.store import GraphStore

#: Times that a set-up goes over everything again because another one, at the same moment, had written what it was about to write.
TRIES_MAX: Final = 100
OPERATOR = Principal("Service", "operator", frozenset({"admin"}))


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a project holds after it was set up."""

    home: str
    ontology: str
    classes: int
    agents: tuple[str, ...]
    rules: int
    people: int
    changes: int
    #: Rules that were changed in the graph after their file was; they stay as they are there.
    overtaken: tuple[str, ...] = ()


def prepare(settings: Settings) -> Prepared:
    """Make the graph of these settings agree with the project's files."""
    clock = SystemClock()
    texts = project_texts(settings)
    agents = agent_modules(settings)
    check_wakes(agents, load({**platform_texts(), **texts}))
    people = None
    if settings.people is not None:
        people = read_people(read_text(settings.path(settings.people), "people"), settings.people)
    store, raw, ontology = open_store(settings, clock)
    try:
        before = store.head().position
        for left in reversed(range(TRIES_MAX)):
            try:
                ontology, _ = store_texts(store, clock, platform_texts(), texts, OPERATOR.uid)
                raw.use(ontology)
                rules, named, overtaken = _write(settings, store, clock, ontology, people, agents)
                break
            except ConflictError:
                # Every step leaves what is there already, and of two that conflict one went in: going over it again ends.
                if not left:
                    raise
        after = store.head().position
    finally:
        store.close()
        raw.close()
    own = sum(1 for cls in ontology.classes.values() if not cls.platform)
    home, done = str(settings.home_path), after - before
    return Prepared(home, ontology.digest, own, tuple(agents), rules, named, done, tuple(overtaken))


def _write(
    settings: Settings,
    store: GraphStore,
    clock: Clock,
    ontology: Ontology,
    people: People | None,
    agents: Mapping[str, Loaded],
) -> tuple[int, int, list[str]]:
    """Principals, rules and controls of the project; how many rules, how many people, and the rules that were overtaken."""
    ensure_principal(store, clock, "Service", OPERATOR.id, OPERATOR, roles=("admin",))
    ensure_principal(store, clock, "User", settings.local_user, OPERATOR, roles=settings.local_roles)
    named = import_people(store, clock, people, OPERATOR).named if people is not None else 0
    for name, loaded in agents.items():
        ensure_principal(store, clock, "Agent", name, OPERATOR, departments=(loaded.agent.department,))
    sources = list(split(resources.files("governance").joinpath("defaults.cedar").read_text(), "defaults.cedar"))
    if settings.rules is not None:
        sources.extend(read_rules(settings.path(settings.rules)))
    overtaken: list[str] = []
    rules = import_rules(store, clock, ontology, sources, OPERATOR, "project set up", overtaken)
    departments = sorted({f"department:{loaded.agent.department}" for loaded in agents.values()})
    scopes = ("global", *(f"agent:{name}" for name in agents), *departments)
    controls.ensure(store, clock, OPERATOR, scopes)
    return len(rules), named, overtaken
