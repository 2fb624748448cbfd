"""What of an entity may leave to a model: personal and labelled properties are masked, patterns in free text too.

Invariant: the value of a property that the ontology calls personal or sensitive never reaches a prompt. Patterns catch
addresses and numbers inside texts; they are a second net, not the first.
"""

import re
from collections.abc import Callable

from kg.model import Entity
from kg.ontology.ontology import Ontology
from kg.values import Json, encode

MASK = "[withheld]"
_EMAIL = re.compile(r"[^\s@<>\"']{1,64}@[^\s@<>\"']{1,190}\.[A-Za-z]{2,24}")
_PHONE = re.compile(r"(?<![\w-])(?:\+|00)\d(?:[ ()/.-]{0,2}\d){6,14}(?!\w)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")


def mask_text(text: str) -> str:
    """The text with e-mail addresses, international phone numbers and IBANs replaced."""
    for pattern in (_EMAIL, _IBAN, _PHONE):
        text = pattern.sub(MASK, text)
    return text


def leaving(ontology: Ontology) -> Callable[[Entity], dict[str, Json]]:
    """A function that shows an entity as a model may see it."""

    def show(entity: Entity) -> dict[str, Json]:
        known = ontology.classes[entity.cls].properties
        shown: dict[str, Json] = {"class": entity.cls, "id": entity.id}
        for name, value in sorted(entity.properties.items()):
            declared = known.get(name)
            if declared is None or declared.personal or declared.sensitivity:
                shown[name] = MASK
            else:
                shown[name] = mask_text(value) if type(value) is str else encode(value)
        return shown

    return show
