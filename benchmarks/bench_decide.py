"""One decision without its record at 1,000 rules, beside raw cedarpy over the whole set; and a governed list of 1,000 rows."""

import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.result import Result, within
from governance import attributes, cedar
from governance.cedar import Uid
from governance.decide import Request, decide
from governance.principals import Principal
from governance.rulebook import RuleBook
from governance.rules import compile_rules
from governance.view import GovernedView
from kg.model import Entity
from kg.ontology import load

RULES = 1_000
CLASSES = 20
ROLES = 10
REQUESTS = 4_000
RAW_REQUESTS = 300
ROUNDS = 7
ROWS = 1_000
ACTIONS = ("read", "propose", "apply", "approve")

_HEAD = """
@prefix : <urn:bench#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:stock a owl:DatatypeProperty ; rdfs:range xsd:integer . :status a owl:DatatypeProperty ; rdfs:range xsd:string .
"""


def _book(r: random.Random) -> RuleBook:
    classes = "".join(
        f":C{n} a owl:Class . :stock rdfs:domain :C{n} . :status rdfs:domain :C{n} .\n" for n in range(CLASSES)
    )
    platform = Path(__file__).parents[1] / "governance" / "platform.ttl"
    ontology = load({"bench.ttl": _HEAD + classes, "platform.ttl": platform.read_text(encoding="utf-8")})
    rules = []
    for n in range(RULES):
        condition = r.choice(
            (
                f"resource has stock && resource.stock > {r.randrange(100)}",
                f'resource has status && resource.status == "s{r.randrange(5)}"',
                "true",
            )
        )
        head = f'principal in Role::"r{r.randrange(ROLES)}", action == Action::"{r.choice(ACTIONS)}"'
        effect = r.choice(("permit", "permit", "forbid"))
        text = f'@id("r{n}") {effect}({head}, resource is C{r.randrange(CLASSES)}) when {{ {condition} }};'
        rules.append(Entity(f"rule{n}", "Rule", 1, {"name": f"r{n}", "text": text}, 1))
    return compile_rules(rules, ontology)


def _requests(r: random.Random, count: int) -> list[Request]:
    people = [Principal("User", f"u{n}", frozenset(r.sample([f"r{m}" for m in range(ROLES)], 2))) for n in range(20)]
    found = []
    for n in range(count):
        values = {"stock": r.randrange(100), "status": f"s{r.randrange(5)}"}
        entity = Entity(f"e{n}", f"C{r.randrange(CLASSES)}", 1, values, 1)
        found.append(Request(r.choice(people), r.choice(ACTIONS), entity, {"operation": "x", "priority": 1}))
    return found


def _raw(rules: RuleBook) -> Callable[[Request], object]:
    """The same request put to cedarpy over the whole, parsed once."""
    policies = cedar.policy_set({s.id: s.policy for s in rules.statements})

    def authorize(request: Request) -> object:
        principal, resource = request.principal, request.resource
        parents = [{"type": "Role", "id": role} for role in principal.roles]
        uid, thing = Uid(principal.kind, principal.id), Uid(resource.cls, resource.id)
        values = attributes.record(resource.properties)
        entities = [
            {"uid": uid.json(), "attrs": {}, "parents": parents},
            {"uid": thing.json(), "attrs": values, "parents": []},
        ]
        context = json.dumps({**attributes.record(request.context), "satisfied": []})
        return cedar.authorize(policies, uid, request.action, thing, context, json.dumps(entities))

    return authorize


def _times_ms(call: Callable[[Request], object], requests: Sequence[Request]) -> tuple[float, float]:
    """p50 and p99 of single calls, in milliseconds."""
    taken = []
    for request in requests:
        start = time.perf_counter_ns()
        call(request)
        taken.append((time.perf_counter_ns() - start) / 1e6)
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


def _rounds(
    ours: Callable[[Request], object], peer: Callable[[Request], object], requests: Sequence[Request]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """p50 and p99 of both, the median of rounds measured turn by turn, so that a busy machine slows both alike."""
    rounds = [(_times_ms(ours, requests), _times_ms(peer, requests[:RAW_REQUESTS])) for _ in range(ROUNDS)]
    medians = [
        (statistics.median(r[n][0] for r in rounds), statistics.median(r[n][1] for r in rounds)) for n in range(2)
    ]
    return medians[0], medians[1]


def run() -> list[Result]:
    """The bars of deciding."""
    r = random.Random(11)
    rules = _book(r)
    requests, raw = _requests(r, REQUESTS), _raw(rules)
    gc.collect()
    cold = _times_ms(lambda request: decide(request, rules), requests)
    warm, floor = _rounds(lambda request: decide(request, rules), raw, requests)
    rows = [
        Entity(f"e{n}", "C3", 1, {"stock": n % 4, "status": f"s{n % 5}"}, n) for n in range(ROWS)
    ]  # 20 groups of rows that agree
    reader = Principal("User", "reader", frozenset(f"r{n}" for n in range(ROLES)))
    ontology = load({"bench.ttl": _HEAD + ":C3 a owl:Class . :stock rdfs:domain :C3 . :status rdfs:domain :C3 ."})
    governed, single = [], []
    for _ in range(5):
        view = GovernedView(reader, rules, ontology)
        start = time.perf_counter()
        view.see(rows)
        governed.append((time.perf_counter() - start) * 1e3)
        start = time.perf_counter()
        for row in rows:
            decide(Request(reader, "read", row), rules)
        single.append((time.perf_counter() - start) * 1e3)
    peer = "raw cedarpy, whole set"
    return [
        within("decide, 1,000 rules, p50", warm[0], "ms", 0.1, peer, floor[0]),
        within("decide, 1,000 rules, p99", warm[1], "ms", 0.3, peer, floor[1]),
        within("decide, 1,000 rules, p99, slices cold", cold[1], "ms", 2.5, peer, floor[1]),
        within(
            "governed list of 1,000 rows",
            statistics.median(governed),
            "ms",
            10,
            "row by row",
            statistics.median(single),
        ),
    ]


if __name__ == "__main__":
    for result in run():
        print(result)
