"""Replays the log into the project's graph, the agents at work after each batch: `python -m examples.incidents.replay`."""

import argparse
import sys
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

from api.bootstrap import build
from api.platform import Noesis
from api.project import prepare
from api.settings import load_settings
from examples.incidents.events import read_events
from examples.incidents.feed import Feed
from kg.errors import NoesisError
from kg.model import Cursor

PROJECT = Path(__file__).resolve().parent
LOG = PROJECT.parents[2] / "shared" / "data" / "incidents" / "bpic2013_incidents.csv"
#: Events between two lines of progress.
LINE_EVERY = 1_000


def replay(platform: Noesis, log: Path, limit: int | None = None) -> Iterator[int]:
    """Feed what the graph does not have yet, and do the work of each batch before the next; yields the events taken so far."""
    assert platform.runtime is not None
    due: deque[str] = deque()
    platform.runtime.enqueue = due.append
    taken = 0
    for batch in Feed(platform.store, read_events(log, limit)).steps():
        while platform.runtime.pump() or due:
            while due:
                platform.runtime.handle(due.popleft())
        taken += len(batch)
        yield taken


def outcomes(platform: Noesis) -> Counter[tuple[str, str]]:
    """How many proposals of each operation are in which state."""
    counted: Counter[tuple[str, str]] = Counter()
    after: Cursor | None = None
    while True:
        page = platform.store.find("Proposal", after=after, first=1_000)
        counted.update((str(one["operation"]), str(one["state"])) for one in page.items)
        after = page.next
        if after is None:
            return counted


def main(arguments: list[str]) -> int:
    """Set the project up, replay, and print what the agents proposed."""
    parser = argparse.ArgumentParser(prog="python -m examples.incidents.replay", description=__doc__)
    parser.add_argument("log", nargs="?", type=Path, default=LOG, help="the CSV file of the log")
    parser.add_argument("--events", type=int, help="take only the first so many events")
    parser.add_argument("--home", type=Path, help="folder of the graph (default: .noesis in the project)")
    options = parser.parse_args(arguments)
    if not options.log.is_file():
        print(f"there is no log {options.log}; give the path of bpic2013_incidents.csv", file=sys.stderr)
        return 2
    try:
        settings = load_settings(project=PROJECT, **({"home": options.home.resolve()} if options.home else {}))
        prepare(settings)
        platform = build(settings, acting=True)
        try:
            for taken in replay(platform, options.log, options.events):
                if taken % LINE_EVERY == 0:
                    print(f"{taken:,} events", file=sys.stderr)
            for (operation, state), count in sorted(outcomes(platform).items()):
                print(f"{operation:<20} {state:<18} {count:>6,}")
        finally:
            platform.close()
    except NoesisError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
