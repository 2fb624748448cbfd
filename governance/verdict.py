"""The frozen values around a decision: Request and Resource in, Approved beside them, Verdict with its Requirements out.

Invariant: a Verdict that is not ``allow`` allows nothing. Data only; `governance.decide` makes verdicts, `governance.decisions`
records them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from governance.principals import Principal
from kg.model import Entity
from kg.values import Value

Outcome = Literal["allow", "deny", "escalate", "needs_approval"]
#: From the mildest to the strictest; several principals of one request get the strictest of theirs.
STRICTNESS: Final[tuple[Outcome, ...]] = ("allow", "needs_approval", "escalate", "deny")

ACTIONS: Final = ("read", "propose", "apply", "approve", "callTool", "callModel", "configure", "control")
#: Actions that only look; an erroring rule denies them, where it escalates all others to a person.
READS: Final = frozenset({"read"})


@dataclass(frozen=True, slots=True)
class Resource:
    """What a request is about where no stored entity stands for it, e.g. ``Label::"pii"`` or an entity to be created."""

    cls: str
    id: str
    properties: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """Who wants to do what to which thing under which circumstances.

    `context` holds values of the scalar table; the names `satisfied`, `onBehalfOf` and `breakGlass` are set by the
    evaluator and ignored here.
    """

    principal: Principal
    action: str
    resource: Entity | Resource
    context: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A name that a soft forbid asks for, and how many distinct approvers of which role satisfy it.

    Those of `escalate` satisfy it too, with answers given `after` seconds or later; `expires` is how many seconds it may be
    answered at all (0: as configured).
    """

    name: str
    approvers: Mapping[str, int]
    escalate: Mapping[str, int] = field(default_factory=dict)
    after: int = 0
    expires: int = 0


@dataclass(frozen=True, slots=True)
class Approved:
    """An approval in force, with the roles the approver has now.

    `lent` are roles that others let the approver use, by the one who answers for each of those; `escalated` names the
    requirements for which it came after their escalation. `held` are the versions (entity id, version) that all this rests on:
    of the approver, of who lent roles, and of the delegations.
    """

    by: Principal
    id: str = ""
    lent: tuple[tuple[str, frozenset[str]], ...] = ()
    escalated: frozenset[str] = frozenset()
    held: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided. `rules` are the determining (rule id, version); `errors` name erring rules, never entity values.

    `required` lists what every soft forbid asks for; `satisfied` those of them that the approvals given fulfil.
    """

    outcome: Outcome
    rules: tuple[tuple[str, int], ...] = ()
    errors: tuple[str, ...] = ()
    required: tuple[Requirement, ...] = ()
    reason: str = ""
    satisfied: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the request may go on now."""
        return self.outcome == "allow"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the evaluator says to one request of one principal: Cedar's decision, determining rule ids, errors."""

    decision: Literal["Allow", "Deny", "NoDecision"]
    reasons: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def strictest(outcomes: Sequence[Outcome]) -> Outcome:
    """The strictest of some outcomes; deny where there is none."""
    return max(outcomes, key=STRICTNESS.index, default="deny")
