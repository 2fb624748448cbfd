"""Hands CloudEvents to one address over HTTP, in structured mode (CloudEvents HTTP binding 1.0.2).

Invariants: the address is the settings', never a payload's, and passes the checks of every outward call; a repetition carries the
same event under the same id, so whoever is away or answers unclearly is asked again later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from coordination.effectors.addresses import Resolve, resolve
from coordination.effectors.http_call import Reach, send, target_of
from coordination.errors import EffectorError, RetryLater
from kg.values import Json, canonical


@dataclass(frozen=True, slots=True)
class HttpSink:
    """Where events go, and the token that opens it."""

    url: str
    token: str = ""
    reach: Reach = field(default_factory=Reach)
    resolving: Resolve = resolve

    def __repr__(self) -> str:
        return f"HttpSink({self.url!r})"

    def __call__(self, event: Mapping[str, Json]) -> None:
        """Hand over one event; RetryLater where it was not taken for sure, GiveUp where it never will be."""
        target = target_of(self.url, self.reach.allowed, "event sink")
        headers = {"content-type": "application/cloudevents+json; charset=utf-8", "user-agent": "noesis-events/1"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        try:
            send("POST", target, headers, canonical(dict(event)).encode(), self.reach, self.resolving)
        except EffectorError as error:
            raise RetryLater(f"the event sink did not take event {event.get('id')}: {error}") from error
