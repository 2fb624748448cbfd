"""Incidents on routes: some still open on the day, some long over (also on routes that are open again), some that begin in the
live phase. Which route is in which state is fixed by name, so that planting can choose.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from random import Random

from examples.distributor import names
from examples.distributor.clock import at, days, logistics_text
from examples.distributor.company import Company
from examples.distributor.live import event
from examples.distributor.systems.logistics import Incident

KINDS = {
    "strike": "Staff at the terminal on strike",
    "closure": "Road closed after a landslide",
    "weather": "Snow and ice",
}
PAST_INCIDENTS = 2


def add_incidents(company: Company) -> None:
    """Add the incidents of the base load and, as events, those of the live phase."""
    chance = company.chance("routes")
    for table in (names.OUTBOUND, names.INBOUND):
        for state in ("over", "open", "live"):
            for route in table[state]:
                for _ in range(PAST_INCIDENTS):
                    start = at(company.day - days(chance.randint(25, 60)), chance.randint(3, 20))
                    end = start + days(chance.randint(2, 20))
                    company.logistics.incidents.append(_incident(company, chance, route, start, end))
                if state == "over":
                    start = at(company.day - days(chance.randint(8, 14)), chance.randint(3, 20))
                    end = at(company.day - days(1), chance.randint(3, 20))
                    company.logistics.incidents.append(_incident(company, chance, route, start, end))
                elif state == "open":
                    start = at(company.day - days(chance.randint(12, 20)), chance.randint(3, 20))
                    company.open_incidents[route] = _incident(company, chance, route, start, None)
                    company.logistics.incidents.append(company.open_incidents[route])
    _add_live(company, chance)


def _add_live(company: Company, chance: Random) -> None:
    """Open the live incidents in the course of the day."""
    for route in (*names.OUTBOUND["live"], *names.INBOUND["live"]):
        start = at(company.day, chance.randint(9, 15), chance.randint(0, 59))
        incident = _incident(company, chance, route, start, None)
        company.open_incidents[route] = incident
        company.live.append(event(start, "logistics.route_incidents", "insert", "incident_id", asdict(incident)))


def _incident(company: Company, chance: Random, route: str, start: datetime, end: datetime | None) -> Incident:
    kind = chance.choice(list(KINDS))
    number = 70_000 + 17 * (len(company.logistics.incidents) + len(company.open_incidents))
    ends = logistics_text(end) if end else None
    return Incident(f"INC-{number}", route, kind, logistics_text(start), ends, f"{KINDS[kind]} on {route}")
