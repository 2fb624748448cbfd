"""The four specialists of a close. Each reads the whole period and says one thing about it; none asks a model, none posts."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from statistics import median
from typing import cast

from agents.context import Context
from agents.reasoners.called import Called
from coordination.errors import GiveUp
from coordination.proposals import Draft
from kg.model import Entity, Link, Op, Put, Where
from kg.values import Money

#: Entries of a period that are looked at, and that one draft may name as evidence.
ENTRIES_MAX = 1_000
#: An entry this many times the median of its account is asked about.
OUTLIER = 10


def looking(
    think: Callable[[Entity, Sequence[Entity], Context], Iterator[Draft]],
) -> Callable[[Entity, Context], Iterator[Draft]]:
    """A look at a period together with its entries."""

    def look(period: Entity, context: Context) -> Iterator[Draft]:
        where = [Where("period", Op.EQ, period["period"])]
        entries = context.find("LedgerEntry", where, first=ENTRIES_MAX + 1)
        if len(entries) > ENTRIES_MAX:
            # What is said of a part would pass for the whole, and its sum would be posted.
            raise GiveUp(
                f"{period['period']} has more than {ENTRIES_MAX:,} entries, and a look takes no more; close it in parts"
            )
        return think(period, entries, context)

    return look


def collect(period: Entity, entries: Sequence[Entity], context: Context) -> Iterator[Draft]:
    """How much there is to close."""
    total = Money(sum((_amount(entry) for entry in entries), Decimal(0)), "EUR")
    writes = (Put(period.id, "Period", {"entries": len(entries), "turnover": total}),)
    yield Draft(
        "period.collect",
        period.id,
        writes,
        rationale=f"{len(entries)} entries of {len({entry['subledger'] for entry in entries})} subledgers.",
        evidence=context.evidence(*entries),
        compatible=("period.summarise",),
    )


def summarise(period: Entity, entries: Sequence[Entity], context: Context) -> Iterator[Draft]:
    """The period in one sentence an account."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        sums[str(entry["account"])] += _amount(entry)
    text = "; ".join(f"{account} {amount:,.2f} EUR" for account, amount in sorted(sums.items()))
    writes = (Put(period.id, "Period", {"summary": f"{period['period']}: {text}"}),)
    evidence = context.evidence(*entries)
    yield Draft(
        "period.summarise", period.id, writes, rationale=text, evidence=evidence, compatible=("period.collect",)
    )


def detect(_: Entity, entries: Sequence[Entity], context: Context) -> Iterator[Draft]:
    """Entries far above the usual of their account, and entries that stand there twice."""
    usual: dict[str, list[Decimal]] = defaultdict(list)
    for entry in entries:
        usual[str(entry["account"])].append(abs(_amount(entry)))
    twice = Counter(_same(entry) for entry in entries)
    seen: set[object] = set()
    for entry in sorted(entries, key=lambda entry: str(entry["entryNo"])):
        middle = median(usual[str(entry["account"])])
        # Money given back is as large as money taken; where nothing is usual, nothing is so many times that.
        if middle and abs(_amount(entry)) > OUTLIER * middle:
            times = abs(_amount(entry)) / middle
            yield _finding(entry, "outlier", f"is {times:.0f} times the usual of its account", context)
        if twice[_same(entry)] > 1 and _same(entry) in seen:
            yield _finding(entry, "duplicate", f"repeats an entry for {entry['counterparty']}", context)
        seen.add(_same(entry))


def comply(_: Entity, entries: Sequence[Entity], context: Context) -> Iterator[Draft]:
    """Entries without a voucher, and entries that one person both entered and released."""
    for entry in entries:
        if "voucher" not in entry.properties:
            yield _finding(entry, "no-voucher", "has no voucher", context)
        if entry["enteredBy"] == entry["releasedBy"]:
            yield _finding(entry, "same-person", f"was entered and released by {entry['enteredBy']}", context)


def _finding(entry: Entity, kind: str, what: str, context: Context) -> Draft:
    says = f"{entry['entryNo']} {what}"
    properties = {"period": entry["period"], "kind": kind, "says": says, "state": "open"}
    id = f"finding-{kind}-{entry['entryNo']}"
    writes = (Put(id, "Finding", properties), Link(id, "holdsAgainst", entry.id))
    evidence = context.evidence(entry)
    # Two agents may hold different things against one entry.
    return Draft(
        "finding.raise", entry.id, writes, rationale=f"{says}.", evidence=evidence, compatible=("finding.raise",)
    )


def _amount(entry: Entity) -> Decimal:
    return cast(Money, entry["amount"]).amount


def _same(entry: Entity) -> object:
    return entry["account"], entry["counterparty"], _amount(entry)


AGENTS = (
    Called("collector", "finance", ("period.collect",), looking(collect)),
    Called("summary", "finance", ("period.summarise",), looking(summarise)),
    Called("anomaly-detector", "finance", ("finding.raise",), looking(detect)),
    Called("compliance-checker", "finance", ("finding.raise",), looking(comply)),
)
