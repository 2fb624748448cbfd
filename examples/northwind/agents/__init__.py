"""Northwind's agents. Each reads the whole house's facts and proposes; none writes."""

from .credit_exposure import CreditExposure
from .late_orders import LateOrders
from .replenishment import Replenishment

AGENTS = (Replenishment(), LateOrders(), CreditExposure())
