"""Measures: by what a workflow's success is measured, declared in its document before it is activated: `metadata: {success: …}`.

Invariant: what is declared is part of the version, so no figure is judged by a target that was chosen after it was seen. Computes
nothing: `kpis` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from coordination.errors import MeasureError
from coordination.workflow.document import Document
from coordination.workflow.durations import microseconds
from coordination.workflow.faults import Fault
from kg.values import Json

#: What can be promised, and whether more of it is better.
METRICS: Final[Mapping[str, bool]] = {
    "completion_rate": True,
    "error_rate": False,
    "cycle_time_seconds": False,
    "sla_adherence": True,
    "approval_rate": True,
    "escalation_rate": False,
    "mttr_seconds": False,
    "hours_saved": True,
}
_KEYS: Final = ("metric", "target", "sla", "baseline", "attended", "price")


@dataclass(frozen=True, slots=True)
class Measure:
    """The promise: `metric` reaches `target`. Seconds: `sla` for a run, `baseline` for doing it by hand, `attended` for an answer
    of a person. `price` is money for a thousand tokens, in `currency`.
    """

    metric: str
    target: Decimal
    sla: float | None = None
    baseline: float | None = None
    attended: float = 0.0
    price: Decimal | None = None
    currency: str = ""

    def met(self, value: float | None) -> bool | None:
        """Whether a figure keeps the promise; None where there is none yet."""
        if value is None:
            return None
        return value >= float(self.target) if METRICS[self.metric] else value <= float(self.target)


def measure_of(document: Document) -> Measure | None:
    """What a document declares, None where it declares nothing; raises MeasureError where that cannot be used."""
    metadata = document.body.get("document", {}).get("metadata") or {}
    declared = metadata.get("success")
    if declared is None:
        return None
    if not isinstance(declared, Mapping) or declared.get("metric") not in METRICS:
        raise MeasureError(f"`success` of {document.key} needs `metric`, one of {', '.join(METRICS)}, and `target`")
    unknown = sorted(set(declared) - set(_KEYS))
    if unknown:
        raise MeasureError(f"`success` of {document.key} knows no {unknown[0]!r}; use {', '.join(_KEYS)}")
    seconds = {name: _seconds(document, name, declared.get(name)) for name in ("sla", "baseline", "attended")}
    price: Any = declared.get("price")
    if price is not None and not (isinstance(price, Mapping) and isinstance(price.get("currency"), str)):
        raise MeasureError(f"`price` of {document.key} needs `value`, money for a thousand tokens, and `currency`")
    return Measure(
        str(declared["metric"]),
        _number(document, "target", declared.get("target")),
        seconds["sla"],
        seconds["baseline"],
        seconds["attended"] or 0.0,
        None if price is None else _number(document, "price", price.get("value")),
        "" if price is None else price["currency"],
    )


def _number(document: Document, name: str, given: Json) -> Decimal:
    try:
        found = Decimal(str(given))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found < 0:
        raise MeasureError(f"`{name}` of {document.key} is no number from 0; correct it")
    return found


def _seconds(document: Document, name: str, given: Json) -> float | None:
    if given is None:
        return None
    try:
        return microseconds(given) / 1_000_000
    except (Fault, ValueError, TypeError, KeyError, AttributeError) as error:
        raise MeasureError(
            f"`{name}` of {document.key} is no duration like PT4H or {{hours: 4}}; correct it"
        ) from error
