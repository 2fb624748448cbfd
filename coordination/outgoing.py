"""What a proposal would send out of the house: to which host, and which labels and kinds of personal data it holds.

Invariant: it is computed from what is stored with the proposal and given to the rules (`context.host`, `context.labels`), so a
content filter is a rule like any other, decided again at the moment the effect begins. It changes and withholds nothing itself.
"""

from typing import Final
from urllib.parse import urlsplit

from coordination.proposals import GRAPH, Proposal
from governance import pii
from kg.values import Json, Value, canonical

#: Characters of a host in a context.
HOST_MAX: Final = 253
#: Fields of a payload that say where it goes.
_URLS: Final = ("url", "server")


def leaving(proposal: Proposal) -> dict[str, Value]:
    """The context of what would leave; empty where it is for the graph alone."""
    if proposal.text("effector") == GRAPH:
        return {}
    payload = proposal.payload
    held = {label.partition("@")[0] for label in proposal.texts("labels")} | pii.labels(canonical(dict(payload)))
    context: dict[str, Value] = {"labels": tuple(sorted(held))}
    host = next((name for field in _URLS if (name := _host(payload.get(field)))), "")
    return {**context, "host": host} if host else context


def _host(url: Json) -> str:
    if not isinstance(url, str):
        return ""
    try:
        return (urlsplit(url).hostname or "")[:HOST_MAX]
    except ValueError:
        return ""
