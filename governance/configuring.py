"""Configuring: whether a principal may change rules or keys. Decided as action ``configure`` by the rules in force.

Invariant: the decision is on record before anything changes, a refusal too. Changes nothing itself.
"""

from governance.decide import decide
from governance.decisions import record
from governance.errors import DeniedError
from governance.principals import Principal
from governance.rulebook import RuleBook
from governance.verdict import Request, Resource
from kg.clock import Clock
from kg.model import Cause
from kg.store import GraphStore


def permit(
    store: GraphStore, clock: Clock, rules: RuleBook, principal: Principal, operation: str, cls: str, name: str
) -> None:
    """Record the decision on an operation (``rule.add``) about a thing of this class; DeniedError where it is refused."""
    request = Request(principal, "configure", Resource(cls, name), {"operation": operation})
    verdict = decide(request, rules)
    id = clock.id()
    behalf = principal.on_behalf_of.uid if principal.on_behalf_of is not None else None
    store.commit(record(id, request, verdict), Cause(clock.id(), "configure", principal.uid, verdict.reason, behalf))
    if not verdict.allowed:
        raise DeniedError(f"{principal.uid} may not do {operation}: {verdict.reason}", id)
