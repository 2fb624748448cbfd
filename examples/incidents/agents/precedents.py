"""Precedents: incidents before this one that share something with it, and how they vote on who will complete it.

Invariant: only what was known before the incident began counts; an incident that changed at the same instant does not. The vote
is a weighted k-nearest-neighbours vote, the weights those of a softmax over precedents. They were fitted by maximum
likelihood on the learning part alone (the first 70 % of the completed incidents by first event) and rounded.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast

from kg.model import Entity

#: What each thing shared adds to a precedent's score.
SHARED: Final = {"product": 3.8, "country": 1.3, "team and product": 1.4, "team and person": 1.5}
#: Of a precedent that is not completed yet: its first team still has it, or it has moved on.
OPEN_KEPT: Final = 1.5
OPEN_MOVED: Final = -0.7
#: Taken off for each unit of log(1 + days since the precedent's last event).
LOG_AGE: Final = 0.9
#: The voice of the rule that the first team keeps it.
PRIOR: Final = 3.0
#: Places to which votes are compared, so that the order of a sum decides nothing.
PLACES: Final = 12
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Precedent:
    """One incident that votes: for which team, how near it is (1 is the nearest voice), what it shares."""

    entity: Entity
    team: str
    similarity: float
    shares: tuple[str, ...]
    completed: bool


@dataclass(frozen=True, slots=True)
class Vote:
    """The team chosen, its share of all votes, the precedents that chose it (nearest first), and the other teams in order."""

    team: str
    share: float
    precedents: tuple[Precedent, ...]
    considered: int
    others: tuple[str, ...]


def known_before(incident: Entity, found: Sequence[Entity]) -> list[Entity]:
    """Those that changed last before the incident began, each once."""
    began = cast(datetime, incident["openedAt"])
    return list({one.id: one for one in found if cast(datetime, one["changedAt"]) < began}.values())


def vote(incident: Entity, candidates: Sequence[Entity]) -> Vote:
    """Let the candidates vote beside the rule that the first team keeps it."""
    own = str(incident["firstTeam"])
    scored = [(one, _shares(incident, one)) for one in candidates]
    scores = [_score(incident, one, shares) for one, shares in scored]
    top = max([*scores, PRIOR])
    votes: defaultdict[str, float] = defaultdict(float, {own: math.exp(PRIOR - top)})
    precedents = []
    for (one, shares), score in zip(scored, scores, strict=True):
        # "Its first team kept it" speaks for the first team of this incident, whichever team that is.
        team = own if one["team"] == one["firstTeam"] else str(one["team"])
        similarity = math.exp(score - top)
        votes[team] += similarity
        precedents.append(Precedent(one, team, similarity, shares, one["status"] == "Completed"))
    best, *others = sorted(votes, key=lambda team: (-round(votes[team], PLACES), team != own, team))
    agreeing = sorted((p for p in precedents if p.team == best), key=lambda p: (-p.similarity, p.entity.id))
    return Vote(best, votes[best] / sum(votes.values()), tuple(agreeing), len(precedents), tuple(others))


def _shares(incident: Entity, one: Entity) -> tuple[str, ...]:
    product = one["product"] == incident["product"]
    team = one["firstTeam"] == incident["firstTeam"]
    matches = {
        "product": product,
        "country": one.get("country") == incident.get("country"),
        "team and product": team and product,
        "team and person": team and one["firstPerson"] == incident["firstPerson"],
    }
    return tuple(name for name, match in matches.items() if match)


def _score(incident: Entity, one: Entity, shares: Sequence[str]) -> float:
    age = (cast(datetime, incident["openedAt"]) - cast(datetime, one["changedAt"])) / _DAY
    score = sum(SHARED[name] for name in shares) - LOG_AGE * math.log1p(age)
    if one["status"] != "Completed":
        score += OPEN_KEPT if one["team"] == one["firstTeam"] else OPEN_MOVED
    return score
