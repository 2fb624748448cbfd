"""What of an entity, and of any text, may leave to a model: personal and labelled values are masked, patterns in free text too.

Invariants: the value of a property that the ontology calls personal or sensitive never reaches a prompt, wherever the agent put it;
what leaves is decided on (`callModel`), and a forbid on the labels it held or on where it goes holds it back. A value that the
agent spells in other words is found only by the patterns.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from agents.errors import ModelRefusedError
from agents.models.model import Question
from governance import pii
from governance.decide import decide
from governance.decisions import record
from governance.masks import WITHHELD, mask_text
from governance.principals import load_principal
from governance.rulebook import RuleBook
from governance.verdict import Request, Resource
from kg.clock import Clock
from kg.model import Cause, Entity
from kg.needles import Needles, spelled
from kg.ontology.ontology import Ontology
from kg.store import GraphStore
from kg.values import Json, Value, encode

MASK = WITHHELD
#: Characters from which a labelled value is looked for in a text; shorter ones occur by chance.
VALUE_MIN = 3

__all__ = ["MASK", "Destination", "Leaving", "leaving", "mask_text"]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where questions go, and who is asked whether they may: the rules of this moment."""

    store: GraphStore
    clock: Clock
    rules: Callable[[], RuleBook]
    host: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class Leaving:
    """Shows an entity as a model may see it, and a question as it may leave; without a destination it only masks."""

    ontology: Ontology
    destination: Destination | None = None

    def __call__(self, entity: Entity) -> dict[str, Json]:
        """The entity as a model may see it: class and properties, personal and sensitive ones masked."""
        known = self.ontology.classes[entity.cls].properties
        shown: dict[str, Json] = {"class": entity.cls, "id": entity.id}
        for name, value in sorted(entity.properties.items()):
            declared = known.get(name)
            if declared is None or declared.personal or declared.sensitivity:
                shown[name] = MASK
            else:
                shown[name] = _plain(value)
        return shown

    def labelled(self, entity: Entity) -> set[tuple[str, str]]:
        """The texts of an entity's personal and sensitive values, each with its label."""
        cls = self.ontology.classes.get(entity.cls)
        if cls is None:
            return set()
        found: set[tuple[str, str]] = set()
        for name, value in entity.properties.items():
            declared = cls.properties.get(name)
            if declared is not None and (declared.personal or declared.sensitivity):
                label = declared.sensitivity or "personal"
                found |= {(text, label) for text in spelled(value) if len(text) >= VALUE_MIN}
        return found

    def question(self, agent: str, model: str, question: Question, values: Collection[tuple[str, str]]) -> Question:
        """The question as it may leave; ModelRefusedError (on record) where a rule forbids it."""
        texts = [question.instructions, question.material]
        held = {label for text in texts for label in pii.labels(text)}
        whole = {
            (value, label) for value, label in values if not _number(value) and any(value in text for text in texts)
        }
        held |= {label for _, label in whole}
        needles = {
            label: Needles((v for v, its in values if its == label), MASK) for label in {its for _, its in values}
        }
        held |= {label for label, its in needles.items() if any(its.met(text) for text in texts)}
        for value, _ in sorted(whole, key=lambda one: len(one[0]), reverse=True):
            texts = [text.replace(value, MASK) for text in texts]
        for its in needles.values():
            texts = [text if (without := its.scrub(text, wide=False)) is None else without for text in texts]
        if self.destination is not None:
            self._permit(self.destination, agent, model, frozenset(held))
        return replace(question, instructions=mask_text(texts[0]), material=mask_text(texts[1]))

    @staticmethod
    def _permit(destination: Destination, agent: str, model: str, held: frozenset[str]) -> None:
        principal = load_principal(destination.store, f'Agent::"{agent}"')
        context: dict[str, Value] = {"model": model, "labels": tuple(sorted(held))}
        context |= {name: text for name in ("host", "region") if (text := getattr(destination, name))}
        thing = Resource("Agent", principal.entity or agent)
        request = Request(principal, "callModel", thing, context)
        verdict = decide(request, destination.rules())
        # A content filter forbids: where rules are silent about models, the settings that name one have permitted it.
        if verdict.allowed or not (verdict.rules or verdict.errors):
            return
        id = destination.clock.id()
        cause = Cause(destination.clock.id(), "model.refused", principal.uid, verdict.reason)
        destination.store.commit(record(id, request, verdict), cause)
        raise ModelRefusedError(f"agent {agent!r} may not send this to {model!r}: {verdict.reason}; decision {id}")


def _number(text: str) -> bool:
    """Whether a spelling is a number's, which is looked for as a word: it may stand within any longer one by chance."""
    return all(sign.isdigit() or sign in ".,-" for sign in text)


def _plain(value: Value) -> Json:
    if isinstance(value, tuple):
        return [mask_text(item) if isinstance(item, str) else encode(item) for item in value]
    return mask_text(value) if type(value) is str else encode(value)


def leaving(ontology: Ontology, destination: Destination | None = None) -> Leaving:
    """What shows entities, and lets questions out."""
    return Leaving(ontology, destination)
