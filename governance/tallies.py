"""Tallies: reads of people that are neither personal nor labelled, counted by the rule that permitted them, window by window.

Invariants: what an operation told is counted in a commit before its answer leaves; a window that is over becomes one ReadingTally,
a fact, in the commit that drops its counts, so nothing counts twice or is lost. Never an agent's reads, personal or labelled
values, or reads under break-glass: those stay single. Holds no id and no value of what was read.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from governance.breakglass import moment
from governance.principals import Principal
from governance.windows import Window
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, Cause, Entity, Put, State, StateWrite
from kg.store import PAGE_MAX, GraphStore, Request
from kg.values import Json, Value, canonical

CLASS: Final = "ReadingTally"
#: Kind of the state rows in which open windows are counted, and how many share the counting of one.
KIND: Final = "reading-tally"
SHARDS: Final = 16
#: Pages of counts that one look closes: others of the same process wait meanwhile.
PAGES_MAX: Final = 20
#: Ids of tallies are made from window, rule and group; nothing else may take such an id.
PREFIX: Final = "reads-"
SERVICE: Final = 'Service::"readings"'
#: What one operation was told by one rule: the rule as id@version, its window, and how many entities of each class.
Counted = tuple[str, Window, Mapping[str, int]]


def rows(
    store: GraphStore, clock: Clock, principal: Principal, channel: str, counted: Iterable[Counted]
) -> list[StateWrite]:
    """The state rows that count one operation, at the revisions they have now."""
    now = int(moment(store, clock).timestamp())
    added: dict[str, dict[str, Any]] = {}
    shard = int.from_bytes(clock.entropy(1)) % SHARDS
    for rule, window, classes in counted:
        start = now - now % window.seconds
        for by, entities in _groups(principal, channel, window, classes):
            digest = hashlib.sha256(canonical([rule, by]).encode()).hexdigest()[:26]
            key = f"{start}.{start + window.seconds}.{digest}.{shard}"
            added[key] = {
                "rule": rule, "by": by, "from": start, "to": start + window.seconds, "operations": 1, "entities": entities,
            }  # fmt: skip
    known = store.state(KIND, list(added))
    return [_added(key, value, known.get(key)) for key, value in added.items()]


def _added(key: str, value: dict[str, Any], known: State | None) -> StateWrite:
    if known is not None:
        value |= {name: value[name] + known.value[name] for name in ("operations", "entities")}
    due = value["to"] * 1_000_000
    return StateWrite(KIND, key, value, expect=ABSENT if known is None else known.revision, due=due)


def _groups(
    principal: Principal, channel: str, window: Window, classes: Mapping[str, int]
) -> Iterable[tuple[dict[str, Json], int]]:
    known: Mapping[str, Json] = {
        "principal": principal.uid,
        "role": sorted(principal.roles),
        "department": sorted(principal.departments),
        "purpose": principal.purpose,
        "channel": channel,
    }
    shared = {name: known[name] for name in window.by if name in known}
    if "class" not in window.by:
        return [(shared, sum(classes.values()))]
    return [({**shared, "class": cls}, count) for cls, count in sorted(classes.items())]


def close(store: GraphStore, clock: Clock) -> int:
    """Make facts of the windows that are over, at most PAGES_MAX pages of counts; how many tallies were written."""
    now = int(moment(store, clock).timestamp() * 1_000_000)
    written = 0
    for _ in range(PAGES_MAX):
        page = store.scan(KIND, due=now, first=PAGE_MAX)
        done = _close(store, clock, page)
        written += done
        if len(page) < PAGE_MAX or not done:
            break
    return written


def _close(store: GraphStore, clock: Clock, page: Sequence[State]) -> int:
    """Commit the tallies of one page of counts, each by itself and all of them at once."""
    over: dict[str, list[State]] = {}
    for row in page:
        over.setdefault(row.key.rpartition(".")[0], []).append(row)
    groups = {PREFIX + hashlib.sha256(key.encode()).hexdigest()[:26]: some for key, some in sorted(over.items())}
    present = store.get(list(groups))
    outcomes = store.commit_many([_tally(clock, id, some, present.get(id)) for id, some in groups.items()])
    for outcome in outcomes:
        # A conflict says that another process closed it.
        if isinstance(outcome, Exception) and not isinstance(outcome, ConflictError):
            raise outcome
    return sum(not isinstance(outcome, Exception) for outcome in outcomes)


def _tally(clock: Clock, id: str, some: Sequence[State], present: Entity | None) -> Request:
    first = some[0].value
    counts = {name: sum(row.value[name] for row in some) for name in ("operations", "entities")}
    for name, kept in (("operations", "operationCount"), ("entities", "entityCount")):
        # Counts of a reader that was late by a moment join what is there.
        counts[name] += int(str(present[kept])) if present is not None else 0
    by = first["by"]
    values: dict[str, Value | None] = {
        "rule": first["rule"],
        "validFrom": datetime.fromtimestamp(first["from"], UTC),
        "validTo": datetime.fromtimestamp(first["to"], UTC),
        "operationCount": counts["operations"],
        "entityCount": counts["entities"],
        "principal": by.get("principal"),
        "roles": tuple(by.get("role", ())),
        "departments": tuple(by.get("department", ())),
        "ofClass": by.get("class"),
        "purpose": by.get("purpose") or None,
        "channel": by.get("channel"),
    }
    kept_values = {name: value for name, value in values.items() if value is not None and value != ()}
    cause = Cause(clock.id(), "read.tally", SERVICE, f"reads permitted by {first['rule']} in one window")
    expects = {id: present.version if present is not None else ABSENT}
    gone = [StateWrite(KIND, row.key, None, expect=row.revision) for row in some]
    return Request([Put(id, CLASS, kept_values)], cause, expects, gone)
