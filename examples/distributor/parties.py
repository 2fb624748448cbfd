"""Customers, sales people, suppliers and products: the rows that stand before anything happens. One customer is written twice,
as sales and as finance spell it, under keys that have nothing in common.
"""

from __future__ import annotations

from random import Random

from examples.distributor import names
from examples.distributor.clock import days
from examples.distributor.company import Client, Company
from examples.distributor.systems.crm import Account, Contact, Opportunity, SalesRep
from examples.distributor.systems.erp import COMPANY_CODE, Calendar, Customer, Product, Supplier

POOLS = {"late": 84, "hold": 60, "plain": 186}
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "AE", "Ö": "OE", "Ü": "UE", "ß": "ss"})


def add_parties(company: Company) -> None:
    """Add every customer, sales representative, supplier and product."""
    chance = company.chance("parties")
    company.erp.calendar.append(Calendar(COMPANY_CODE, company.day.isoformat()))
    _add_reps(company, chance)
    _add_clients(company, chance)
    _add_prospects(company, chance)
    _add_products(company, chance)


def _add_reps(company: Company, chance: Random) -> None:
    for index, region in enumerate(
        ("north", "east", "south", "west", "austria", "benelux", "key accounts", "inside sales"), 1
    ):
        name = f"{chance.choice(names.GIVEN_NAMES)} {names.FAMILY_NAMES[index]}"
        email = f"{name.lower().replace(' ', '.').translate(UMLAUTS)}@distributor.example"
        company.crm.sales_reps.append(SalesRep(f"R-{index:02d}", name, email, region))


def _company_names(chance: Random, count: int) -> list[tuple[str, str, str]]:
    """Give distinct (family, trade, city) triples."""
    every = [(f, t, c) for f in names.FAMILY_NAMES for t in names.TRADES for c in names.CITIES]
    return chance.sample(every, count)


def _add_clients(company: Company, chance: Random) -> None:
    total = sum(POOLS.values())
    pools = [name for name, size in POOLS.items() for _ in range(size)]
    chance.shuffle(pools)
    erp_numbers = chance.sample(range(101, 9_999), total)
    parts = _company_names(chance, total)
    for index, (pool, erp_number, (family, trade, city)) in enumerate(zip(pools, erp_numbers, parts, strict=True), 1):
        form = chance.choice(names.LEGAL_FORMS)
        account = _account(company, chance, index, f"{family} {trade} {city} {form}", f"{family}-{trade}-{city}")
        short = f"{names.ERP_TRADES[trade]} {family.translate(UMLAUTS).upper()}"
        erp_name = f"{short} {names.ERP_LEGAL_FORMS[form]}".strip()
        vat = _finance_vat(chance, account.vat_number)
        terms = chance.choice(names.TERMS_DAYS)
        customer = Customer(f"{erp_number:07d}", erp_name, vat, 0.0, terms, "EUR")
        company.crm.accounts.append(account)
        company.erp.customers.append(customer)
        company.clients.append(Client(account, customer, pool))
    company.erp.customers.sort(key=lambda row: row.customer_no)


def _account(company: Company, chance: Random, index: int, legal_name: str, domain: str) -> Account:
    """Make an account and its contact persons."""
    domain = f"{domain.lower().translate(UMLAUTS)}.example"
    key = f"C-{index:05d}"
    people = []
    for role in ("buyer", "accounts payable")[: chance.randint(1, 2)]:
        name = f"{chance.choice(names.GIVEN_NAMES)} {chance.choice(names.FAMILY_NAMES)}"
        email = f"{name.lower().replace(' ', '.').translate(UMLAUTS)}@{domain}"
        phone = f"+49 30 23125 {chance.randint(0, 999):03d}"
        people.append(Contact(f"P-{len(company.crm.contacts) + 1:05d}", key, name, role, email, phone))
        company.crm.contacts.append(people[-1])
    vat = f"ATU99{index:06d}" if legal_name.split()[2] in ("Graz", "Linz", "Wien") else f"DE999{index * 7:06d}"
    segment = chance.choices("ABC", (2, 4, 5))[0]
    rep = chance.choice(company.crm.sales_reps).rep_id
    since = (company.day - days(chance.randint(400, 4_000))).isoformat()
    city, first = legal_name.split()[2], people[0]
    return Account(key, legal_name, domain, vat, segment, rep, city, first.name, first.email, first.phone, since)


def _finance_vat(chance: Random, vat: str) -> str:
    """Spell a VAT number the way a clerk typed it."""
    land, digits = vat[:2], vat[2:]
    if chance.random() < 0.3:
        return f"{land.lower()} {digits}"
    mark = chance.choice((" ", ".", "-"))
    return mark.join((land, digits[:3], digits[3:6], digits[6:]))


def _add_prospects(company: Company, chance: Random) -> None:
    """Add opportunities, some of them of companies that have never bought and are unknown to finance."""
    known = len(company.clients)
    for offset, (family, trade, city) in enumerate(_company_names(company.chance("prospects"), 24), 1):
        row = _account(company, chance, known + offset, f"{family} {trade} {city} GmbH", f"{family}-{trade}-{city}-new")
        company.crm.accounts.append(row)
    for index in range(1, 181):
        account = chance.choice(company.crm.accounts)
        stage = chance.choice(("lead", "qualified", "quoted", "won", "lost"))
        close = (company.day + days(chance.randint(-120, 90))).isoformat()
        title = f"{chance.choice(('Project', 'Yearly demand', 'New site'))} {account.city}"
        cents = chance.randint(5, 900) * 10_000
        company.crm.opportunities.append(Opportunity(f"OP-{index:05d}", account.account_id, title, stage, cents, close))


def _add_products(company: Company, chance: Random) -> None:
    for index, name in enumerate(names.SUPPLIERS, 1):
        company.erp.suppliers.append(Supplier(f"L{index:04d}", name, chance.randint(5, 40)))
    kinds = [(family, variant) for family in names.PRODUCT_FAMILIES for variant in names.PRODUCT_VARIANTS]
    for index, ((family, low, high, weight), variant) in enumerate(kinds, 1):
        price = round(chance.uniform(low, high), 2)
        cost = round(price * chance.uniform(0.55, 0.75), 2)
        level = chance.randint(10, 120)
        target = chance.uniform(5_600, 18_000) if chance.random() < 0.45 else chance.uniform(500, 4_400)
        row = Product(
            product_no=f"P-{10_000 + index * 3}",
            description=f"{family} {variant}",
            supplier_no=chance.choice(company.erp.suppliers).supplier_no,
            stock=level * 2 + chance.randint(5, 400),
            reorder_level=level,
            reorder_qty=max(level, round(target / cost)),
            unit="pcs",
            unit_price=price,
            unit_cost=cost,
            weight_kg=round(weight * chance.uniform(0.8, 1.2), 2),
        )
        company.erp.products.append(row)
