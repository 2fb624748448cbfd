"""Claims: what agents proposed, in the words of the truth (kind, action, source key), so that both can be compared.

Invariant: one claim a target and operation, however often it was proposed. Proposals that found other facts than they rested
on (expired) or could not be carried out (failed) claim nothing.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from coordination.proposals import Draft, Proposal
from kg.model import Cursor, Entity, Put, Write
from kg.reader import Reader
from kg.values import Ref

#: Operation -> (kind of situation, action of the truth).
MEANING = {
    "purchase_order.create": ("replenishment", "create_purchase_order"),
    "credit.grant": ("late_delivery", "credit"),
    "shipment.expedite": ("late_delivery", "expedite"),
    "apology.send": ("late_delivery", "apology"),
    "credit.hold": ("credit_hold", "hold"),
    "ticket.route": ("ticket_routing", "route"),
}
KEYS = {"Product": "productNo", "SalesOrder": "orderNo", "Customer": "customerNo", "Ticket": "ticketId"}
SILENT = frozenset({"expired", "failed"})
#: Proposals read for one score.
PROPOSALS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that agents want done; `target` is a source key, `team` the choice of a routing."""

    kind: str
    action: str
    target: str
    team: str | None = None


def of_proposals(reader: Reader) -> frozenset[Claim]:
    """The claims of every proposal that the reader may see."""
    stated = [
        (proposal.text("operation"), str(cast(Ref, proposal.entity["target"])), proposal.writes)
        for proposal in proposals(reader)
        if proposal.state not in SILENT and proposal.text("operation") in MEANING
    ]
    return _claims(reader, stated)


def of_drafts(reader: Reader, drafts: Iterable[Draft]) -> frozenset[Claim]:
    """The claims of drafts that were never handed in."""
    return _claims(reader, [(d.operation, d.target, d.writes) for d in drafts if d.operation in MEANING])


def proposals(reader: Reader) -> list[Proposal]:
    """Every proposal, at most PROPOSALS_MAX."""
    found: list[Proposal] = []
    after: Cursor | None = None
    while len(found) < PROPOSALS_MAX:
        page = reader.find("Proposal", after=after, first=500)
        found += [Proposal(entity) for entity in page.items]
        after = page.next
        if after is None:
            break
    return found


def _claims(reader: Reader, stated: Sequence[tuple[str, str, Sequence[Write]]]) -> frozenset[Claim]:
    targets: dict[str, Entity] = {}
    ids = list(dict.fromkeys(target for _, target, _ in stated))
    for start in range(0, len(ids), 500):
        targets |= reader.get(ids[start : start + 500])
    claims = set()
    for operation, target, writes in stated:
        entity = targets.get(target)
        if entity is not None:
            # Without the key a claim still counts, as a false one.
            key = str(entity.get(KEYS.get(entity.cls, ""), json.dumps(target)))
            claims.add(Claim(*MEANING[operation], key, _team(writes)))
    return frozenset(claims)


def _team(writes: Sequence[Write]) -> str | None:
    teams = (write.set.get("assignedTeam") for write in writes if isinstance(write, Put))
    return next((str(team) for team in teams if team is not None), None)
