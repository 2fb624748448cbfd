"""Merging: two proposals of one operation on one target whose writes do not contradict each other become one new proposal.

Invariants: the new one holds every write of both and nothing else, and is decided anew for every agent behind it; it is as sure as
the less sure of the two. Only writes of the graph merge, outside runs, at one set of expected versions. Commits nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from coordination.codec import derive, form_of
from coordination.proposals import EVIDENCE_MAX, GRAPH, PROPOSAL, WRITES_MAX, Proposal
from governance.principals import CHAIN_MAX
from kg.model import Close, Link, Put, Unlink, Write
from kg.values import LIST_MAX, Json, Money, Ref, Value, canonical

#: Characters of the rationale of a merged proposal, and agents behind it.
RATIONALE_MAX: Final = 900
PARTNERS_MAX: Final = CHAIN_MAX


def fits(chosen: Sequence[Proposal], other: Proposal) -> bool:
    """Whether a proposal merges with those that were chosen already."""
    first = chosen[0]
    if first.text("operation") != other.text("operation") or first.text("department") != other.text("department"):
        return False
    if any(p.text("effector") != GRAPH or p.text("run") or p.text("undoes") for p in (*chosen, other)):
        return False
    if len(_partners([*chosen, other])) > PARTNERS_MAX or _total([*chosen, other]) is _CANNOT:
        return False
    if len({item for p in (*chosen, other) for item in p.evidence}) > EVIDENCE_MAX:
        return False
    expected: dict[str, int] = {}
    for proposal in (*chosen, other):
        for id, version in proposal.expects.items():
            if expected.setdefault(id, version) != version:
                return False
    return combined([*chosen, other]) is not None


def combined(proposals: Sequence[Proposal]) -> tuple[Write, ...] | None:
    """Every write of the proposals, each once; None where two contradict each other."""
    puts: dict[str, Put] = {}
    others: dict[str, Write] = {}
    for write in (write for proposal in proposals for write in proposal.writes):
        if isinstance(write, Put):
            joined = _joined(puts.get(write.id), write)
            if joined is None:
                return None
            puts[write.id] = joined
        else:
            others[canonical(form_of(write))] = write
    rest = list(others.values())
    closed = {write.id for write in rest if isinstance(write, Close)}
    touched = {*puts, *(write.source for write in rest if isinstance(write, Link | Unlink))}
    if closed & touched or _torn(rest) or len(puts) + len(rest) > WRITES_MAX:
        return None
    return (*puts.values(), *rest)


def _joined(one: Put | None, other: Put) -> Put | None:
    """Two writes of one entity as one, None where they say different things of it."""
    if one is None or one == other:
        return other
    plain = all(not it.replace and it.valid_from is None and it.valid_to is None for it in (one, other))
    clash = any(one.set[name] != other.set[name] for name in one.set.keys() & other.set.keys())
    unsaid = one.unset & other.set.keys() or other.unset & one.set.keys()
    if not plain or clash or unsaid or one.cls != other.cls or one.origin != other.origin:
        return None
    return Put(one.id, one.cls, {**one.set, **other.set}, one.unset | other.unset, one.origin)


def _torn(writes: Sequence[Write]) -> bool:
    """Whether relations contradict each other: made and ended, or exclusive and yet two."""
    links = [write for write in writes if isinstance(write, Link)]
    for write in writes:
        if isinstance(write, Unlink):
            if any((it.source, it.relation) == (write.source, write.relation) for it in links):
                return True
        elif isinstance(write, Link):
            same = [it for it in links if (it.source, it.relation) == (write.source, write.relation)]
            if any((it.exclusive or write.exclusive) and it.target != write.target for it in same):
                return True
            if any(it.target == write.target and it != write for it in same):
                return True
    return False


def merged(proposals: Sequence[Proposal]) -> Put:
    """The write that makes one proposal of several that fit; its id follows from theirs."""
    ordered = sorted(proposals, key=lambda proposal: proposal.id)
    first, total = ordered[0], _total(ordered)
    expects: dict[str, int] = {}
    for proposal in ordered:
        expects |= proposal.expects
    writes = combined(ordered) or ()
    partners = _partners(ordered)
    why = " | ".join(f"{p.text('agent')}: {p.text('rationale')}" for p in ordered)
    evidence = tuple(dict.fromkeys(text for p in ordered for text in p.texts("evidence")))
    properties: dict[str, Value] = {
        **{name: first.text(name) for name in ("agent", "agentVersion", "operation", "effector", "contextHash")},
        "target": Ref(first.text("target")),
        "state": "proposed",
        "rationale": why[:RATIONALE_MAX],
        "confidence": min(p.confidence for p in ordered),
        "priority": max(p.number("priority") for p in ordered),
        "work": derive("merge", *(p.id for p in ordered)),
        "contextPosition": min(p.number("contextPosition") for p in ordered),
        "depth": max(p.number("depth") for p in ordered),
        "intent": derive("merged", *sorted({p.text("intent") for p in ordered})),
        "writes": canonical([form_of(write) for write in writes]),
        "partners": partners,
        "merges": tuple(p.id for p in ordered)[:LIST_MAX],
    }
    optional: Mapping[str, Value] = {
        "evidence": evidence,
        "alternatives": _every(ordered, "alternatives"),
        "labels": _every(ordered, "labels"),
        "compatible": tuple(x for x in first.texts("compatible") if all(x in p.texts("compatible") for p in ordered)),
        "expects": canonical(dict[str, Json](expects)) if expects else "",
        "department": first.text("department"),
        "sandbox": first.sandbox,
    }
    properties |= {name: value for name, value in optional.items() if value}
    if isinstance(total, Money):
        properties["amount"] = total
    return Put(derive("merged proposal", *(p.id for p in ordered)), PROPOSAL, properties)


_CANNOT: Final = object()


def _total(proposals: Sequence[Proposal]) -> Money | object | None:
    """The sum of the amounts, None where there is none, _CANNOT over several currencies."""
    amounts = [p.amount for p in proposals if p.amount is not None]
    if not amounts:
        return None
    if len({amount.currency for amount in amounts}) > 1:
        return _CANNOT
    return Money(sum((amount.amount for amount in amounts[1:]), amounts[0].amount), amounts[0].currency)


def _partners(proposals: Sequence[Proposal]) -> tuple[str, ...]:
    """Every agent behind the proposals, by name."""
    return tuple(sorted({name for p in proposals for name in (p.text("agent"), *p.texts("partners"))}))


def _every(proposals: Sequence[Proposal], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for p in proposals for text in p.texts(name)))
