"""Starters: for whom a run acts: whoever started it, and whoever that one acted for.

Invariant I5: they are links of the chain behind everything that the run proposes, so the right is the intersection and none of
their identities approves it. What the platform starts by itself (a schedule) acts for whoever ordered that. Decides nothing.
"""

from typing import Final

from governance.errors import PrincipalError
from governance.principals import Principal, load_principal
from kg.store import GraphStore

#: Parts of the platform that start runs in the name of somebody else; no rules speak of them.
PLATFORM: Final = frozenset({'Service::"coordination"', 'Service::"schedule"'})


def starter(store: GraphStore, run: str) -> Principal | None:
    """Whoever a run acts for, None where it is the platform alone; PrincipalError where they are gone or disabled."""
    entity = store.get([run]).get(run)
    if entity is None:
        raise PrincipalError(f"there is no run {run[:80]!r}, so nobody answers for what it proposes; start it again")
    behalf: Principal | None = None
    # Each acts for the one before it, so the chain is walked from its end.
    for uid in dict.fromkeys((str(entity.get("onBehalfOf", "")), str(entity["startedBy"]))):
        if uid and uid not in PLATFORM:
            behalf = load_principal(store, uid, on_behalf_of=behalf)
    return behalf
