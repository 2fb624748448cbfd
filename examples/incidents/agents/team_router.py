"""Team router: predicts at an incident's first event which team will complete it, by the precedents that graph and index hold.

The graph gives the incidents that share the product, the first team or the first person, the last changed first; where these
are few, the index gives some that are alike. They vote (precedents.py), and the nearest of those that chose the team are named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from agents.context import Context
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity, Op, Order, Put, Where

from .findings import TOGETHER
from .precedents import Precedent, Vote, known_before, vote

ROUTE = "incident.route"
#: Properties whose equality makes an incident a candidate, and how many of each are read.
NEAR = ("product", "firstTeam", "firstPerson")
NEAR_MAX = 200
#: Below so many candidates the index is asked too, for so many.
FEW = 20
ALIKE = 50
#: Precedents named in rationale and evidence.
SHOWN = 5


@dataclass(frozen=True, slots=True)
class TeamRouter:
    """Works for support; reads incidents."""

    name: str = "team-router"
    version: str = "1.0"
    department: str = "support"
    capabilities: tuple[str, ...] = (ROUTE,)
    priority: int = 5
    wakes: tuple[Wake, ...] = (Wake("Incident", on=frozenset({"created"})),)

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Predict once, as the incident begins."""
        del change
        if "predictedTeam" in entity.properties:
            return ()
        return (_draft(entity, vote(entity, candidates(entity, context)), context),)


def candidates(incident: Entity, context: Context) -> list[Entity]:
    """What the graph holds near the incident, and where that is little, what the index holds alike."""
    earlier, newest = Where("changedAt", Op.LT, incident["openedAt"]), Order("changedAt", descending=True)
    found: list[Entity] = []
    for name in NEAR:
        found += context.find("Incident", [Where(name, Op.EQ, incident[name]), earlier], newest, NEAR_MAX)
    known = known_before(incident, found)
    if len(known) >= FEW:
        return known
    text = " ".join(str(incident.get(name, "")) for name in ("country", "firstTeam", "product"))
    return known_before(incident, [*found, *(hit.entity for hit in context.search(text, ("Incident",), ALIKE))])


def _draft(incident: Entity, choice: Vote, context: Context) -> Draft:
    named = choice.precedents[:SHOWN]
    why = "; ".join(map(_told, named)) or "no precedent speaks for another team than the first"
    return Draft(
        ROUTE,
        incident.id,
        (Put(incident.id, "Incident", {"predictedTeam": choice.team}),),
        rationale=(
            f"{incident['incidentNo']} will be completed by {choice.team}: {choice.share:.0%} of the vote of "
            f"{choice.considered} precedents. {why}."
        ),
        evidence=context.evidence(incident, *(precedent.entity for precedent in named)),
        confidence=Decimal(choice.share).quantize(Decimal("0.0001")),
        alternatives=choice.others[:SHOWN],
        compatible=TOGETHER,
    )


def _told(precedent: Precedent) -> str:
    one = precedent.entity
    kept = "its first team, " if one["team"] == one["firstTeam"] else ""
    state = "completed by" if precedent.completed else "still open with"
    shares = ", ".join(precedent.shares) or "the first person or team alone"
    return f"{one['incidentNo']} ({state} {kept}{one['team']}; similarity {precedent.similarity:.2f}; shares {shares})"
