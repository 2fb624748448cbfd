"""The company before it is spread over four systems: who the customers are, what was ordered, what was written. Parts of it are
drafts that get their numbers late, so that planted rows lie among the ordinary ones and their numbers betray nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from random import Random

from examples.distributor.live import LiveEvent
from examples.distributor.systems.crm import Account, Crm
from examples.distributor.systems.erp import Customer, Erp, Product
from examples.distributor.systems.helpdesk import Helpdesk
from examples.distributor.systems.logistics import Incident, Logistics
from examples.distributor.truth import Decoy, Situation


@dataclass(slots=True)
class Client:
    """One customer, known to sales by an account and to finance by a number; `pool` says what it is kept for."""

    account: Account
    customer: Customer
    pool: str

    @property
    def keys(self) -> dict[str, str]:
        """Give the customer's key in each system that has one."""
        return {
            "crm_account": self.account.account_id,
            "erp_customer": self.customer.customer_no,
            "email_domain": self.account.domain,
        }


@dataclass(slots=True)
class OrderDraft:
    """One order with its shipment and its invoice; moments are UTC, `due` is none where nothing is invoiced yet."""

    client: Client
    ordered: datetime
    promised: datetime
    status: str
    lines: list[tuple[Product, int]]
    route: str
    delivered: datetime | None = None
    due: date | None = None
    paid: bool = True
    shipment_status: str | None = None
    shipment_delivered: datetime | None = None
    number: int = 0

    @property
    def net(self) -> float:
        """Give the net amount in EUR."""
        return round(sum(product.unit_price * quantity for product, quantity in self.lines), 2)

    @property
    def order_no(self) -> str:
        """Give the number as the ERP spells it."""
        return f"SO-{self.number:06d}"


@dataclass(slots=True)
class TicketDraft:
    """One ticket before it has a number; `solver` is the team that can help, `team` the one the helpdesk shows."""

    client: Client | None
    created: datetime
    solver: str
    intent: str
    status: str
    team: str | None
    order: OrderDraft | None = None
    live: bool = False
    number: int = 0

    @property
    def ticket_id(self) -> str:
        """Give the ticket's key."""
        return f"T{self.number:06d}"


@dataclass(slots=True)
class Company:
    """Everything of one seed and one day."""

    seed: int
    day: date
    crm: Crm = field(default_factory=Crm)
    erp: Erp = field(default_factory=Erp)
    helpdesk: Helpdesk = field(default_factory=Helpdesk)
    logistics: Logistics = field(default_factory=Logistics)
    clients: list[Client] = field(default_factory=list)
    orders: list[OrderDraft] = field(default_factory=list)
    tickets: list[TicketDraft] = field(default_factory=list)
    open_incidents: dict[str, Incident] = field(default_factory=dict)
    live: list[LiveEvent] = field(default_factory=list)
    situations: list[Situation] = field(default_factory=list)
    decoys: list[Decoy] = field(default_factory=list)

    def chance(self, part: str) -> Random:
        """Give the named part its own stream of chance, so that a change in one part leaves the others as they were."""
        return Random(f"{self.seed}:{part}")

    def pool(self, name: str) -> list[Client]:
        """Give the customers kept for one purpose."""
        return [client for client in self.clients if client.pool == name]
