"""The distributor's agents. Each reads its own department's facts and those of the others, and proposes; none writes."""

from .credit_hold import CreditHold
from .late_delivery import LateDelivery
from .replenishment import Replenishment
from .sales_discount import SalesDiscount
from .ticket_router import TicketRouter

AGENTS = (Replenishment(), LateDelivery(), CreditHold(), SalesDiscount(), TicketRouter())
