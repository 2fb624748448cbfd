"""What a proposal would send out of the house: to which host, and which labels and kinds of personal data it holds.

Invariant: it is computed from what is stored with the proposal and given to the rules (`context.host`, `context.labels`), so a
content filter is a rule like any other, decided again at the moment the effect begins. It changes and withholds nothing itself.
"""

import unicodedata
from typing import Final
from urllib.parse import urlsplit

from coordination.proposals import GRAPH, Proposal
from governance import pii
from kg.values import Json, Value, canonical

#: Characters of a host in a context.
HOST_MAX: Final = 253
#: Effectors that go where their settings, recipients or documents say: a `url` in their payload is not where.
_ELSEWHERE: Final = frozenset({"smtp", "sql", "file", "python", "process", "notice", "openapi"})


def leaving(proposal: Proposal) -> dict[str, Value]:
    """The context of what would leave; empty where it is for the graph alone."""
    if proposal.text("effector") == GRAPH:
        return {}
    payload = proposal.payload
    held = {label.partition("@")[0] for label in proposal.texts("labels")} | pii.labels(canonical(dict(payload)))
    context: dict[str, Value] = {"labels": tuple(sorted(held))}
    # A decoy: whoever reads no url may be handed one, and the rules would hear of a host that nothing goes to.
    told = None if proposal.text("effector") in _ELSEWHERE else payload.get("url", payload.get("server"))
    host = _host(told)
    return {**context, "host": host} if host else context


def _host(url: Json) -> str:
    """The host of a URL as names are resolved: without the root's dot, in its plain letters."""
    if not isinstance(url, str):
        return ""
    try:
        host = unicodedata.normalize("NFKC", urlsplit(url).hostname or "").lower().rstrip(".")
        return (host if host.isascii() else host.encode("idna").decode())[:HOST_MAX]
    except ValueError:
        return ""
