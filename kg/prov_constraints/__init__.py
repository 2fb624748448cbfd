"""Checks PROV documents against the constraints of the W3C Recommendation PROV-CONSTRAINTS (30 April 2013)."""

from kg.prov_constraints.check import Violation, validate

__all__ = ["Violation", "validate"]
