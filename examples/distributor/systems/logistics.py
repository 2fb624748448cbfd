"""The carriers' platform: shipments and route incidents as CSV, times in New York time with an offset, weights in pounds. It
spells the ERP's order `SO-004711` as `4711` and the purchase order `PO-00123` as `P123`.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from pathlib import Path

from examples.distributor.systems.table import columns, write_csv

POUNDS_PER_KG = 2.20462
SHIPMENTS = "logistics.csv"
INCIDENTS = "route_incidents.csv"


@dataclass(slots=True)
class Shipment:
    """One shipment, `OUT` to a customer or `IN` from a supplier; exactly one of the two order columns is filled."""

    shipment_id: str
    direction: str
    order_ref: str | None
    purchase_ref: str | None
    carrier: str
    route: str
    promised_at: str
    eta: str
    delivered_at: str | None
    weight_lb: float
    status: str


@dataclass(slots=True)
class Incident:
    """Something that blocks a route from one moment to another; without `to` it still does."""

    incident_id: str
    route: str
    kind: str
    from_: str
    to: str | None
    note: str


@dataclass(slots=True)
class Logistics:
    """All rows of the platform."""

    shipments: list[Shipment] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write logistics.csv and route_incidents.csv."""
        write_csv(folder / SHIPMENTS, columns(Shipment), map(astuple, self.shipments))
        write_csv(folder / INCIDENTS, columns(Incident), map(astuple, self.incidents))
