"""Answers an auditor's eleven questions from a dossier, in words, each with the changes it rests on and the values it quotes.

Invariant: a sentence says only what the record says; each quoted value names the change that set it, so that a reader with the
public key alone can compare it with the signed ledger. Where the record is silent, the answer says so.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from governance.dossier import Case, Dossier
from kg.model import Entity
from kg.values import Json, Money, Value, encode, instant, plain

QUESTIONS: Final = (
    "Who decided, and for whom?",
    "What was known then?",
    "Which rule, in which version, and was it in force?",
    "What else was considered, and why not?",
    "Which model, prompt and tool took part?",
    "Did a person review, override or stop it?",
    "What changed because of it?",
    "Was anything altered or removed since?",
    "Is it complete?",
    "Can it be erased?",
    "In which standard form is it?",
)
#: Characters of one value in a sentence, and facts named one by one.
SHORT: Final = 400
LISTED: Final = 30
#: Whatever begins a new line somewhere; and a value that reads as one word. Any other is quoted, so that what somebody wrote is
#: never taken for a sentence of the report.
_BREAKS: Final = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_WORD: Final = re.compile(r"""[\w.:@/+"'-]*\Z""", re.ASCII)
_QUOTES: Final = re.compile("[“”„‟]")


@dataclass(slots=True)
class Answer:
    """One question's answer: sentences, the positions it rests on, and quotations (position, name, value)."""

    number: int
    question: str
    lines: list[str] = field(default_factory=list)
    rests: set[int] = field(default_factory=set)
    quotes: list[tuple[int, str, Json]] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Add a sentence; it stays one line, whatever was written into the values in it."""
        self.lines.append(_BREAKS.sub(" ⏎ ", line))

    def of(self, entity: Entity, *names: str) -> str:
        """Quote properties of an entity version that it has and the reader may see; the text of them."""
        self.rests.add(entity.since)
        shown = []
        for name in names:
            if name in entity.properties:
                self.quotes.append((entity.since, name, encode(entity.properties[name])))
                shown.append(f"{name} {_text(entity.properties[name])}")
            elif name in entity.masked:
                shown.append(f"{name} (withheld)")
        return ", ".join(shown)

    def json(self) -> Json:
        """The answer as a dossier holds it."""
        quotes = [{"position": position, "name": name, "value": value} for position, name, value in self.quotes]
        return {
            "number": self.number,
            "question": self.question,
            "text": self.lines,
            "rests": sorted(self.rests),
            "quotes": quotes,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """How the ledger stands as the dossier is made: whether it was verified, and the checkpoint the proofs lead to."""

    verified: int
    checkpoint: str
    size: int
    compared: int
    erasures: Sequence[Entity] = ()
    personal: Sequence[str] = ()
    held: int = 0
    files: Sequence[str] = ()


def answer(dossier: Dossier, standing: Standing) -> list[Answer]:
    """The eleven answers, in order."""
    made = [Answer(number, question) for number, question in enumerate(QUESTIONS, 1)]
    for case in dossier.cases:
        for one, tell in zip(made, (_who, _known, _rules, _else, _tools, _person, _changed), strict=False):
            if len(dossier.cases) > 1:
                one.say(f"Decision {case.decision.id}:")
            tell(one, case)
    _altered(made[7], standing)
    _complete(made[8], dossier)
    _erasable(made[9], dossier, standing)
    made[10].say(
        "W3C PROV-O (Turtle) and PROV-JSON for the provenance; a DSSE envelope with C2SP checkpoints and RFC 6962 proofs."
    )
    made[10].say(f"Files: {', '.join(standing.files)}." if standing.files else "This document is the only file.")
    for one in made[7:]:
        one.rests |= {case.decision.since for case in dossier.cases}
    return made


def _who(one: Answer, case: Case) -> None:
    decision = case.decision
    said = one.of(decision, "outcome", "action", "operation", "target", "principal", "onBehalfOf", "amount", "currency")
    one.say(f"At {instant(case.at)}: {said}.")
    one.quotes.append((decision.since, "cause.agent", case.cause.agent))
    one.say(
        f"The commit was made by {_text(case.cause.agent)}"
        + (f" for {_text(case.cause.on_behalf_of)}." if case.cause.on_behalf_of else ".")
    )
    if "onBehalfOf" not in decision.properties:
        one.say("Nobody else's authority was used: the principal acted for itself.")
    if "reason" in decision.properties:
        one.say(f"Stated: {one.of(decision, 'reason')}.")


def _known(one: Answer, case: Case) -> None:
    said = one.of(case.decision, "targetVersion", "contextDigest")
    one.say(f"The record names {len(case.used)} facts by version; {said or 'no digest of the request'}.")
    for fact in case.used[:LISTED]:
        one.say(
            f"{fact.cls} {fact.id} version {fact.version}: {one.of(fact, *sorted(fact.properties)) or 'no value that you may see'}."
        )
    if len(case.used) > LISTED:
        one.say(f"{len(case.used) - LISTED} more facts are in the bundle.")
    for proposal in case.proposals:
        said = one.of(proposal, "contextPosition", "contextHash", "evidence")
        one.say(f"The proposal {proposal.id} rests on: {said or 'nothing that it names'}.")


def _rules(one: Answer, case: Case) -> None:
    if not case.rules:
        one.say("No rule determined it: nothing allows without one, so the default is to deny.")
    for rule in case.rules:
        said = one.of(rule, "status", "author", "reviewer", "validFrom", "validTo")
        one.say(f"Rule {one.of(rule, 'name')} version {rule.version}: {said}.")
        one.say(f"{one.of(rule, 'text')}")
        ended = f"until position {rule.until}" if rule.until is not None else "and it still is the current version"
        force = rule.since < case.decision.since and (rule.until is None or rule.until > case.decision.since)
        one.say(f"In force at the decision: {'yes' if force else 'no'} (since position {rule.since}, {ended}).")
    if "errors" in case.decision.properties:
        one.say(f"Rules that erred, and so never allowed: {one.of(case.decision, 'errors')}.")


def _else(one: Answer, case: Case) -> None:
    for proposal in case.proposals:
        said = one.of(proposal, "alternatives")
        one.say(f"The proposer considered: {said}." if said else "The proposer named no alternative.")
        one.say(f"It chose this because: {one.of(proposal, 'rationale', 'confidence') or 'it gave no reason'}.")
    for other in case.conflicts:
        one.say(f"A conflicting proposal {other.id}: {one.of(other, 'operation', 'state', 'reason')}.")
    for sibling in case.siblings:
        one.say(f"The same proposal was also decided so: {sibling.id} {one.of(sibling, 'outcome', 'reason')}.")
    if not (case.proposals or case.conflicts or case.siblings):
        one.say("It answers a request, not a proposal: there was nothing to choose between.")


def _tools(one: Answer, case: Case) -> None:
    own = one.of(case.decision, "model", "promptDigest", "agentVersion", "latency")
    for proposal in case.proposals:
        said = one.of(proposal, "agent", "agentVersion", "model", "effector")
        one.say(f"Proposal {proposal.id}: {said}.")
        if "model" not in proposal.properties:
            one.say("No language model was called for it: the agent is a program.")
    one.say(f"The decision: {own}." if own else "The decision itself was made by the rules alone, without a model.")
    if "model" not in case.decision.properties:
        one.say("Deciding uses the rule evaluator (Cedar), never a language model.")


def _person(one: Answer, case: Case) -> None:
    for approval in case.approvals:
        one.say(
            f"{approval.cls} {approval.id}: {one.of(approval, 'answer', 'principal', 'onBehalfOf', 'roles', 'comment')}."
        )
    for other in case.overrides:
        one.say(f"Overridden by {other.id}: {one.of(other, 'outcome', 'principal', 'reason')}.")
    asked = one.of(case.decision, "required", "satisfied", "expires")
    if asked:
        one.say(f"Approvals: {asked}.")
    if not case.approvals:
        one.say("No person answered it; none was asked for by a rule." if not asked else "No person has answered yet.")
    if not case.overrides:
        one.say("Nobody has overridden it.")
    if "breakGlass" in case.decision.properties:
        one.say(f"It was made under {one.of(case.decision, 'breakGlass')}.")
    for glass in case.glass:
        one.say(f"Break-glass: {one.of(glass, 'holder', 'reason', 'validFrom', 'validTo', 'closedBy', 'closeReason')}.")
        found = one.of(glass, "finding", "reviewer", "comment")
        one.say(f"Its review: {found}." if found else "Nobody has reviewed it yet.")
    for control in case.controls[:LISTED]:
        one.say(f"Control then: {one.of(control, 'scope', 'state', 'setBy', 'reason')}.")


def _changed(one: Answer, case: Case) -> None:
    for effect in case.effects:
        one.say(f"Effect {effect.id}: {one.of(effect, 'operation', 'status', 'reference', 'receipt')}.")
    for change in case.changes[:LISTED]:
        one.rests.add(change.position)
        what = f"{change.relation} {change.target}" if change.relation else ", ".join(change.changed)
        one.say(f"Position {change.position}: {change.kind} {change.cls} {change.subject}: {what}.")
    if len(case.changes) > LISTED:
        one.say(f"{len(case.changes) - LISTED} more changes are in the log.")
    if not case.effects and not case.changes:
        one.say(f"Nothing beyond the record itself: the outcome was {case.decision['outcome']} and no effect began.")
    one.rests.add(case.decision.since)


def _altered(one: Answer, standing: Standing) -> None:
    one.say(
        f"No. The whole ledger was recomputed as this was made: {standing.verified:,} changes, every one as it was committed."
    )
    one.say(
        f"It was compared with {standing.compared:,} signed checkpoints, the newest of {standing.size:,} changes, "
        f"signed by {standing.checkpoint}."
    )
    one.say(
        "Check it yourself: the bundle leads each quoted value to that checkpoint, offline, with the public key alone."
    )
    for entity in standing.erasures:
        one.say(f"On record as erased, with reason: Erasure {entity.id}: {_text(entity['grounds'])}.")


def _complete(one: Answer, dossier: Dossier) -> None:
    one.say(
        f"{len(dossier.cases)} decisions are shown"
        + ("; there are more: narrow the period." if dossier.more else ", all that match.")
    )
    one.say(
        "Positions of the log have no gap, and each cause is sealed to the one before: a left-out commit breaks the chain."
    )
    withheld = sum(case.withheld for case in dossier.cases)
    one.say(
        f"{withheld} entities were left out because the reader may not see them."
        if withheld
        else "Nothing was withheld from the reader."
    )
    one.say("Causes of up to 200 changes are shown whole; the verifier counts them. That no further decision exists is shown by "
            "`noesis verify` on the ledger itself, not by a bundle.")  # fmt: skip


def _erasable(one: Answer, dossier: Dossier, standing: Standing) -> None:
    held = ", ".join(standing.personal)
    one.say(f"Personal properties in it: {held}." if held else "No personal property is in it.")
    one.say(
        "`noesis forget` erases a person's values and whatever repeats them; each proof here stays valid without them."
    )
    one.say(
        f"{standing.held} of its entities are under a legal hold."
        if standing.held
        else "None of its entities is under a legal hold."
    )
    one.say(f"{len(standing.erasures)} erasures are on record for this ledger.")
    one.say(
        "This document is an export: it is on record, and is marked where somebody in it is forgotten; destroy it then."
    )
    del dossier


def _text(value: Value) -> str:
    if isinstance(value, tuple):
        shown = "; ".join(_text(item) for item in value[:LISTED])
        return f"{shown} and {len(value) - LISTED} more" if len(value) > LISTED else shown
    if isinstance(value, Money):
        return f"{plain(value.amount)} {value.currency}"
    text = str(value)
    text = text if len(text) <= SHORT else text[: SHORT - 1] + "…"
    return f"“{_QUOTES.sub(chr(34), text)}”" if isinstance(value, str) and not _WORD.match(text) else text


def positions(answers: Iterable[Answer]) -> set[int]:
    """Every position that the answers rest on or quote."""
    return {p for one in answers for p in (*one.rests, *(position for position, _, _ in one.quotes))}
