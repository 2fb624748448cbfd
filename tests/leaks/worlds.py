"""Random worlds of which one principal may see a part, each with a twin that differs only in what that principal may not see.

Whatever the principal asks must be answered alike in both: what differs is a leak. The twin's values come from one-to-one
maps, so both have the same versions, changes and positions.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

from governance.principals import Principal
from governance.rulebook import RuleBook
from governance.rules import compile_rules
from governance.view import GovernedView
from kg.model import Cause, Close, Entity, Input, Link, Put, Write
from kg.ontology import Ontology, load
from kg.store import GraphStore
from kg.values import Money
from tests.governance import generated
from tests.governance.world import DOMAIN, ROOT, rule

MORE = """
:note a owl:DatatypeProperty ; rdfs:domain :Product , :Customer ; rdfs:range xsd:string ; n:searchable true .
:story a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:string ; n:searchable true ; n:sensitivity "pii" .
:buyer a owl:ObjectProperty ; rdfs:domain :Order ; rdfs:range :Customer ; n:inverse "orders" .
:holds a owl:ObjectProperty ; rdfs:domain :Order ; rdfs:range :Product ; n:inverse "heldIn" .
:near a owl:ObjectProperty ; rdfs:domain :Customer ; rdfs:range :Customer ; n:inverse "nearOf" .
"""
WORDS = ("steel", "bolt", "leak", "urgent", "north", "secret")
PERMITS = (
    '@id("open") permit(principal, action == Action::"read", resource is {cls}) {when};',
    '@id("open") permit(principal, action == Action::"read", resource) when {{ !(resource is Label) }};',
)
LABELS = '@id("label") permit(principal, action == Action::"read", resource == Label::"{label}");'
COMMITS = 9
ENDS = (("buyer", "Order", "Customer"), ("holds", "Order", "Product"), ("near", "Customer", "Customer"))
IDS = tuple(f"e{n}" for n in range(12))


@cache
def words() -> Ontology:
    platform = {f"{name}/platform.ttl": (ROOT / name / "platform.ttl").read_text("utf-8") for name in ("governance",)}
    return load({"shop.ttl": DOMAIN.replace(":Effect a owl:Class .", MORE).split(":state a")[0], **platform})


@dataclass(frozen=True, slots=True)
class World:
    """A script of commits, the rules and the principal who asks."""

    script: tuple[tuple[tuple[Write, ...], Cause], ...]
    rules: RuleBook
    principal: Principal
    classes: dict[str, str]

    def view(self) -> GovernedView:
        return GovernedView(self.principal, self.rules, words())

    def fill(self, store: GraphStore) -> GraphStore:
        for writes, cause in self.script:
            store.commit(writes, cause)
        return store


def _values(r: random.Random, cls: str) -> dict[str, Any]:
    region, rate = r.choice("NSEW"), Decimal(r.randrange(5))
    text = " ".join(r.sample(WORDS, 2))
    by_class: dict[str, dict[str, Any]] = {
        "Product": {"stock": r.randrange(5), "rate": rate, "tags": tuple(r.sample("abc", 2)), "note": text},
        "Order": {
            "total": Money(Decimal(r.randrange(9)), r.choice(("EUR", "USD"))), "open": r.random() < 0.5, "region": region,
            "margin": Decimal(r.randrange(5)), "story": text,
        },
        "Customer": {
            "region": region, "rate": rate, "phone": f"030-{r.randrange(9)}", "margin": Decimal(r.randrange(5)),
            "token": f"t{r.randrange(5)}", "tags": ("a",), "note": text,
        },
    }  # fmt: skip
    values = by_class["Order" if cls == "WebOrder" else cls]
    return {name: value for name, value in values.items() if r.random() < 0.8}


def _script(r: random.Random, classes: dict[str, str]) -> list[tuple[list[Write], Cause]]:
    script: list[tuple[list[Write], Cause]] = []
    versions: dict[str, int] = {}
    linked: set[tuple[str, str, str]] = set()
    for n in range(COMMITS):
        writes: list[Write] = []
        fresh = [id for id in IDS if id not in versions and (n == 0 or r.random() < 0.2)]
        again = r.sample(sorted(versions), min(len(versions), 3)) if versions else []
        for id in dict.fromkeys([*fresh, *again]):
            if id in versions and r.random() < 0.1:
                writes.append(Close(id))
                continue
            values = _values(r, classes[id])
            origin = f"crm/{id}/{next(iter(values.values()), '')}" if r.random() < 0.4 else None
            writes.append(Put(id, classes[id], values, frozenset(), origin))
        inputs = (
            tuple(Input(id, 1) for id in r.sample(sorted(versions), min(len(versions), 2))) if r.random() < 0.6 else ()
        )
        gone = {writing.id for writing in writes if isinstance(writing, Close)}
        versions |= {writing.id: 1 for writing in writes if isinstance(writing, Put)}
        versions = {id: version for id, version in versions.items() if id not in gone}
        writes += _link(r, classes, versions, linked) if n % 2 == 0 else []
        known = {i.id for i in inputs} & versions.keys()
        kept = tuple(i for i in inputs if i.id in known and n > 1)
        if n == COMMITS - 2:
            writes += _decision(r, versions)
        script.append(
            (writes, Cause(f"c{n}", "ingest", 'Service::"ingest"', f"as the row of {kept} says", inputs=kept))
        )
    return script


def _link(
    r: random.Random, classes: dict[str, str], versions: dict[str, int], linked: set[tuple[str, str, str]]
) -> list[Write]:
    """At most one new relation of each name between things that are there."""
    made: list[Write] = []
    for name, source, target in ENDS:
        near = [id for id in versions if classes[id].endswith(source)]
        far = [id for id in versions if classes[id] == target]
        edge = (r.choice(near), name, r.choice(far)) if near and far else None
        if edge is not None and edge[0] != edge[2] and edge not in linked:
            linked.add(edge)
            made.append(Link(*edge))
    return made


def _decision(r: random.Random, versions: dict[str, int]) -> list[Write]:
    """A decision on record that rests on first versions, and an answer to it."""
    used = tuple(f"{id}@1" for id in r.sample(sorted(versions), min(len(versions), 4)))
    said = {"outcome": "deny", "action": "apply", "principal": 'User::"anna"', "target": used[0][:-2], "reason": "so"}
    answer = {"answer": "approve", "principal": 'User::"ben"', "comment": "seen"}
    return [
        Put("d1", "Decision", {**said, "used": used}), Put("a1", "Approval", answer), Link("a1", "wasInformedBy", "d1"),
    ]  # fmt: skip


def _rules(r: random.Random) -> RuleBook:
    texts = [generated.rule_text(r, n) for n in range(r.randrange(2, 9))]
    for cls in r.sample(generated.CLASSES, r.randrange(1, 4)):
        texts.append(
            PERMITS[0].format(cls=cls, when=r.choice(("", 'when { resource has region && resource.region != "N" }')))
        )
    if r.random() < 0.7:
        texts.append(PERMITS[1].format())
    if r.random() < 0.4:
        texts.append(LABELS.format(label=r.choice(("pii", "confidential"))))
    return compile_rules([rule(text, f"rule{n}") for n, text in enumerate(texts)], words())


def make(seed: int) -> World:
    """The world of a seed."""
    r = random.Random(seed)
    classes = {id: r.choice(generated.CLASSES) for id in IDS}
    script = tuple((tuple(writes), cause) for writes, cause in _script(r, classes))
    return World(script, _rules(r), generated.principal(r), classes)


def other(value: Any) -> Any:
    """Another value of the same type, one to one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return 1000 - value
    if isinstance(value, Decimal):
        return Decimal(1000) - value
    if isinstance(value, Money):
        return Money(Decimal(1000) - value.amount, value.currency)
    if isinstance(value, tuple):
        return tuple(other(item) for item in value)
    return "hidden-" + str(value)


def twin(world: World, store: GraphStore) -> tuple[World, int]:
    """The world with other values wherever the principal may see none, and how many values were changed."""
    view = world.view()
    lines = {id: view.see(line) for id in IDS if (line := store.history(id))}
    hidden = {id for id, line in lines.items() if all(seen is None for seen in line)}
    # Denied now, though an earlier version would be shown: the detail path tells none of it.
    denied = {id for id, line in lines.items() if line[-1] is None} - hidden
    masked = {cls: _unread(world, cls, masks=True) for cls in generated.CLASSES}
    unread = {cls: _unread(world, cls, masks=False) for cls in generated.CLASSES}
    changed = 0

    def put(write: Write) -> Write:
        nonlocal changed
        if not isinstance(write, Put):
            return write
        if write.cls not in masked:
            return write
        free = unread if write.id in denied else masked
        names = set(write.set) if write.id in hidden else set(write.set) & free[write.cls]
        changed += len(names)
        values = {name: other(value) if name in names else value for name, value in write.set.items()}
        origin = write.origin
        if origin is not None and next(iter(write.set), None) in names:
            origin = f"crm/{write.id}/{next(iter(values.values()))}"
        return replace(write, set=values, origin=origin)

    script = tuple((tuple(put(write) for write in writes), cause) for writes, cause in world.script)
    return replace(world, script=script), changed


def _unread(world: World, cls: str, *, masks: bool) -> set[str]:
    """The (masked) properties of a class that no rule reads, so that changing them changes no decision."""
    plan = world.view()._planned(cls)
    slices = [world.rules.slice(link, "read", cls) for link in world.principal.chain()]
    if plan is None or any(piece.attributes is None for piece in slices):
        return set()
    read = {name for piece in slices for name in piece.attributes or ()}
    names = plan.masked if masks else set(words().classes[cls].properties)
    return {name for name in names if name not in read and f"{name}Currency" not in read}


def still_hidden(one: World, left: GraphStore, right: GraphStore) -> bool:
    """Whether both worlds show the same versions of the same entities: only then must all else be alike."""
    view, again = one.view(), one.view()
    for id in IDS:
        pairs = zip(left.history(id), right.history(id), strict=True)
        for before, after in pairs:
            if (view.see([before])[0] is None) != (again.see([after])[0] is None):
                return False
    return True


def project(world: World, store: GraphStore) -> dict[str, Entity]:
    """What the detail path shows, one entity at a time, each with a view of its own."""
    found: dict[str, Entity] = {}
    for id, entity in store.get(IDS).items():
        seen = world.view().see([entity])[0]
        if seen is not None:
            found[id] = seen
    return found


Ask = Callable[[World, GraphStore], Any]
