"""Explains a decision to a person: one paragraph, and a tree of what it rests on, from the record, the rules and the facts alone.

Invariant: no model is asked, and every sentence names what is on record. What the reader may not see is not in the record
handed in: the caller passes the decision and the entities through the reader's View first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from governance.counterfactual import Turn
from kg.model import Entity

_SAID = {
    "allow": "was allowed",
    "deny": "was denied",
    "escalate": "was sent to a person",
    "needs_approval": "needs approval",
}


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of the tree and what hangs on it."""

    text: str
    below: tuple["Branch", ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """The paragraph, the tree, and what would turn the verdict (None where nothing small does)."""

    paragraph: str
    tree: Branch
    turn: Turn | None


def explain(
    decision: Entity, rules: Sequence[Entity], facts: Sequence[Entity], answers: Sequence[Entity], turn: Turn | None
) -> Explanation:
    """The explanation of a recorded decision from the rule and fact versions that it names and the answers given to it."""
    return Explanation(_paragraph(decision, rules, answers, turn), _tree(decision, rules, facts, answers, turn), turn)


def _paragraph(decision: Entity, rules: Sequence[Entity], answers: Sequence[Entity], turn: Turn | None) -> str:
    behalf = f" on behalf of {decision['onBehalfOf']}" if decision.get("onBehalfOf") else ""
    what = str(decision.get("operation") or decision["action"])
    about = f"{decision.get('targetClass') or 'a thing'} {decision.get('target', '')}".strip()
    amount = f" over {decision['amount']} {decision.get('currency', '')}".rstrip() if decision.get("amount") else ""
    sentences = [
        f"{decision['principal']}{behalf} asked for {what} on {about}{amount}; it {_SAID[str(decision['outcome'])]}.",
        f"The reason: {decision.get('reason') or 'none was given'}.",
    ]
    if rules:
        named = ", ".join(f"{rule.get('name', rule.id)} (version {rule.version})" for rule in rules)
        sentences.append(f"It was decided by {named}.")
    if answers:
        sentences.append(
            " ".join(f"{a['principal']} answered {a['answer']}{_because(a.get('comment'))}." for a in answers)
        )
    if turn is not None:
        facts = " and ".join(map(str, turn.facts))
        sentences.append(f"With {facts} the answer would be {turn.verdict.outcome}.")
    return " ".join(sentences)


def _because(comment: object) -> str:
    return f" ({str(comment)[:200]})" if comment else ""


def _tree(
    decision: Entity, rules: Sequence[Entity], facts: Sequence[Entity], answers: Sequence[Entity], turn: Turn | None
) -> Branch:
    lists: Mapping[str, tuple[Branch, ...]] = {
        "rules": tuple(_rule(rule) for rule in rules),
        "facts used": tuple(Branch(f"{fact.cls} {fact.id} version {fact.version}") for fact in facts),
        "answers": tuple(Branch(f"{a['principal']}: {a['answer']}{_because(a.get('comment'))}") for a in answers),
        "errors": tuple(Branch(str(error)) for error in _many(decision.get("errors"))),
        "would turn it": tuple(Branch(str(fact)) for fact in turn.facts) if turn is not None else (),
    }
    below = tuple(Branch(name, branches) for name, branches in lists.items() if branches)
    return Branch(f"{decision['outcome']}: {decision.get('reason', '')}", below)


def _rule(rule: Entity) -> Branch:
    text = " ".join(str(rule.get("text", "")).split())
    by = f"written by {rule.get('author', 'unknown')}" + (
        f", reviewed by {rule['reviewer']}" if rule.get("reviewer") else ""
    )
    return Branch(f"{rule.get('name', rule.id)} version {rule.version}, {by}", (Branch(text),))


def _many(value: object) -> Sequence[object]:
    return value if isinstance(value, tuple) else ()
