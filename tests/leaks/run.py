"""Runs differential cases: what a principal is told must not depend on what it may not see, and must be what the detail path shows.

`python -m tests.leaks.run --cases 100000` prints how many were tried and every leak.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kg.model import Entity
from tests.leaks import front_asks
from tests.leaks.asks import asks
from tests.leaks.front import Front, shown, text
from tests.leaks.worlds import IDS, World, make, project, still_hidden, twin, words
from tests.oracles.graph import DictStore
from tests.parts import ManualClock

#: Questions to one world.
ASKED = 30
#: Questions to it through the front.
FRONT = 28
#: Leaks kept in a report.
SHOWN = 20


@dataclass
class Tally:
    """What was tried and found."""

    cases: int = 0
    worlds: int = 0
    values: int = 0
    refused: int = 0
    #: Answers through the front that told data.
    told: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)


def entities(value: Any) -> Iterator[Entity]:
    """Every entity anywhere within an answer."""
    if isinstance(value, Entity):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from entities(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from entities(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from entities(getattr(value, name))


def run(seeds: range, tally: Tally | None = None, cases: int | None = None) -> Tally:
    """Try every question on the worlds of these seeds."""
    tally = tally or Tally()
    for seed in seeds:
        world = make(seed)
        left = world.fill(DictStore(words(), ManualClock()))
        other, changed = twin(world, left)
        right = other.fill(DictStore(words(), ManualClock()))
        alike = still_hidden(world, left, right)
        tally.worlds, tally.values = tally.worlds + 1, tally.values + (changed if alike else 0)
        tally.refused += not alike
        shown = project(world, left)
        for kind, ask in asks(seed, ASKED):
            told = ask(world, left)
            if alike and repr(told) != repr(ask(other, right)):
                tally.leaks.append(f"seed {seed} {kind}: the answer depends on what is hidden")
            for entity in entities(told):
                detail = shown.get(entity.id)
                current = left.get([entity.id])
                if current and detail is None:
                    tally.leaks.append(f"seed {seed} {kind}: {entity.cls} {entity.id} is denied and was shown")
                elif detail is not None and entity.masked < detail.masked:
                    tally.leaks.append(f"seed {seed} {kind}: {entity.id} shows {detail.masked - entity.masked}")
            tally.cases += 1
            tally.kinds[kind] += 1
            if cases is not None and tally.cases >= cases:
                return tally
        _front(seed, world, other, alike, tally)
        if cases is not None and tally.cases >= cases:
            return tally
    return tally


def _front(seed: int, world: World, other: World, alike: bool, tally: Tally) -> None:
    """Ask through GraphQL and the index."""
    left, right = Front(world), Front(other)
    detail = project(world, left.store)
    current = left.store.get(IDS)
    for kind, ask in front_asks.asks(seed, FRONT):
        told = ask(left)
        if alike and told != ask(right):
            tally.leaks.append(f"seed {seed} {kind}: the answer depends on what is hidden")
        tally.told += '"data": {' in text(told)
        for id, cls, values in shown(told):
            seen = detail.get(id)
            if id in current and seen is None:
                tally.leaks.append(f"seed {seed} {kind}: {cls} {id} is denied and was shown")
            elif seen is not None and any(values.get(name) is not None for name in seen.masked):
                tally.leaks.append(f"seed {seed} {kind}: {id} tells what is masked")
        tally.cases += 1
        tally.kinds[kind] += 1


def main() -> int:
    """Print a line, and each leak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()
    found = run(range(given.seed, given.seed + given.cases), cases=given.cases)
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"{found.cases:,} cases in {found.worlds:,} worlds, {found.values:,} hidden values changed in the twins "
        f"({found.refused} twins left out), {len(found.leaks)} leaks, {seconds:.0f} s\n"
    )
    sys.stdout.write(", ".join(f"{kind[1:]} {count:,}" for kind, count in sorted(found.kinds.items())) + "\n")
    for leak in found.leaks[:SHOWN]:
        sys.stdout.write(f"LEAK {leak}\n")
    return 1 if found.leaks else 0


if __name__ == "__main__":
    sys.exit(main())
