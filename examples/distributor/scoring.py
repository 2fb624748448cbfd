"""Scores claims against the truth that the generator planted: found, missed and false alarms for each kind of situation.

Invariant: a claim counts as found only where kind, target, action and (for a ticket) team are those of the truth; any other
claim is a false alarm, whether or not a decoy stands there. Judges; it runs no agent.
"""

from collections.abc import Collection
from dataclasses import dataclass

from coordination.proposals import Proposal
from examples.distributor.claims import Claim, proposals
from examples.distributor.truth import Situation, Truth
from kg.reader import Reader

KINDS = ("replenishment", "late_delivery", "credit_hold", "ticket_routing")
#: Who else knew: class -> the system that its facts come from.
SYSTEM_OF = {
    "Product": "erp", "PurchaseOrder": "erp", "Supplier": "erp", "SalesOrder": "erp", "Invoice": "erp", "Calendar": "erp",
    "Shipment": "logistics", "RouteIncident": "logistics", "Ticket": "helpdesk", "Customer": "crm", "PaymentPlan": "crm",
    "DiscountOffer": "crm",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tally:
    """How one kind of situation was judged; each member names targets by source key."""

    found: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    false: tuple[str, ...] = ()

    @property
    def recall(self) -> float:
        """The share of situations that were found; 1 where there is none."""
        total = len(self.found) + len(self.missed)
        return len(self.found) / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Score:
    """A tally for each kind, and all kinds together."""

    kinds: dict[str, Tally]

    @property
    def total(self) -> Tally:
        """All kinds in one tally."""
        return self.of(tuple(self.kinds))

    def only(self, kinds: tuple[str, ...]) -> dict[str, Tally]:
        """The tallies of these kinds."""
        return {kind: tally for kind, tally in self.kinds.items() if kind in kinds}

    def of(self, kinds: tuple[str, ...]) -> Tally:
        """These kinds in one tally."""
        tallies = self.only(kinds).values()
        return Tally(
            tuple(target for tally in tallies for target in tally.found),
            tuple(target for tally in tallies for target in tally.missed),
            tuple(target for tally in tallies for target in tally.false),
        )


def score(claims: Collection[Claim], truth: Truth, phases: tuple[str, ...] = ("base", "live")) -> Score:
    """The score of claims against the situations that hold by the end of these phases."""
    tallies = {}
    for kind in KINDS:
        expected = {_expected(situation): situation for situation in truth.of(kind, *phases)}
        made = {claim for claim in claims if claim.kind == kind}
        tallies[kind] = Tally(
            tuple(sorted(claim.target for claim in expected if claim in made)),
            tuple(sorted(claim.target for claim in expected if claim not in made)),
            tuple(sorted(claim.target for claim in made if claim not in expected)),
        )
    return Score(tallies)


def _expected(situation: Situation) -> Claim:
    wanted = situation.expected
    return Claim(situation.kind, wanted.action, wanted.target, wanted.params.get("team"))


def approval_to_show(reader: Reader) -> Proposal | None:
    """The waiting purchase order that rests on most systems' facts, the largest of those; ties by id."""
    waiting = [
        p for p in proposals(reader) if p.state == "waiting_approval" and p.text("operation") == "purchase_order.create"
    ]
    return _widest(reader, waiting)


def why_to_show(reader: Reader) -> Proposal | None:
    """The applied remedy of a late order that rests on most systems' facts."""
    applied = [
        p
        for p in proposals(reader)
        if p.state == "applied" and p.text("operation") in ("shipment.expedite", "credit.grant")
    ]
    return _widest(reader, applied)


def systems(reader: Reader, proposal: Proposal) -> frozenset[str]:
    """The source systems whose facts a proposal rests on."""
    facts = reader.versions([(fact.id, fact.version) for fact in proposal.evidence]).values()
    return frozenset(SYSTEM_OF[fact.cls] for fact in facts if fact.cls in SYSTEM_OF)


def _widest(reader: Reader, choice: Collection[Proposal]) -> Proposal | None:
    def weight(proposal: Proposal) -> tuple[int, object, str]:
        amount = proposal.amount.amount if proposal.amount else 0
        return len(systems(reader, proposal)), amount, proposal.id

    return max(choice, key=weight, default=None)
