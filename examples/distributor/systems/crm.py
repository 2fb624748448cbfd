"""The CRM of the sales department: accounts keyed `C-00123`, VAT numbers in one run, money in cents, and the personal data of
contact persons. It knows neither the ERP's customer number nor any order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from examples.distributor.systems.table import write_database


@dataclass(slots=True)
class SalesRep:
    """One sales representative."""

    rep_id: str
    name: str
    email: str
    region: str


@dataclass(slots=True)
class Account:
    """One customer as sales sees it; segment A are key accounts, C the small ones."""

    account_id: str
    legal_name: str
    domain: str
    vat_number: str
    segment: str
    owner_rep_id: str
    city: str
    contact_name: str
    contact_email: str
    contact_phone: str
    created_on: str


@dataclass(slots=True)
class Contact:
    """One person at a customer."""

    contact_id: str
    account_id: str
    name: str
    role: str
    email: str
    phone: str


@dataclass(slots=True)
class Opportunity:
    """One possible sale."""

    opportunity_id: str
    account_id: str
    title: str
    stage: str
    amount_cents: int
    expected_close: str


@dataclass(slots=True)
class DiscountOffer:
    """A discount that sales plans for, or has granted to, an account."""

    offer_id: str
    account_id: str
    rep_id: str
    discount_cents: int
    valid_from: str
    valid_until: str
    status: str


@dataclass(slots=True)
class PaymentPlan:
    """Instalments agreed, or only proposed, with an account."""

    plan_id: str
    account_id: str
    status: str
    instalment_cents: int
    agreed_on: str | None
    valid_until: str


@dataclass(slots=True)
class Crm:
    """All rows of the CRM."""

    sales_reps: list[SalesRep] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    opportunities: list[Opportunity] = field(default_factory=list)
    discount_offers: list[DiscountOffer] = field(default_factory=list)
    payment_plans: list[PaymentPlan] = field(default_factory=list)

    def offer(self, account_id: str, rep_id: str, cents: int, start: str, end: str, status: str) -> DiscountOffer:
        """Add a discount offer and give it its key."""
        row = DiscountOffer(f"OF-{len(self.discount_offers) + 1:05d}", account_id, rep_id, cents, start, end, status)
        self.discount_offers.append(row)
        return row

    def plan(self, account_id: str, status: str, cents: int, agreed: str | None, end: str) -> PaymentPlan:
        """Add a payment plan and give it its key."""
        row = PaymentPlan(f"PP-{len(self.payment_plans) + 1:04d}", account_id, status, cents, agreed, end)
        self.payment_plans.append(row)
        return row

    def write(self, folder: Path) -> None:
        """Write crm.db."""
        write_database(
            folder / "crm.db",
            {
                "sales_reps": (SalesRep, self.sales_reps),
                "accounts": (Account, self.accounts),
                "contacts": (Contact, self.contacts),
                "opportunities": (Opportunity, self.opportunities),
                "discount_offers": (DiscountOffer, self.discount_offers),
                "payment_plans": (PaymentPlan, self.payment_plans),
            },
        )
