"""A process that decides one request for each line it reads: `python -m tests.governance.decider DATABASE`."""

import sys
from pathlib import Path

from governance.decide import decide
from governance.rules import load_rules
from kg.clock import SystemClock
from kg.stores.sqlite import SqliteStore
from tests.governance.world import agent, apply, ontology


def main(database: Path) -> None:
    """Answer until nobody asks."""
    store = SqliteStore(database, ontology(), SystemClock(), durable=False)
    for _ in sys.stdin:
        sys.stdout.write(decide(apply(agent()), load_rules(store, ontology())).outcome + "\n")
        sys.stdout.flush()
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
