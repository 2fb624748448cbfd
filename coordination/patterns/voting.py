"""Vote: agents choose among options at once; the choice with enough weight wins, a tie goes to whoever is named for it.

Invariant: a vote that names no option counts for nobody; what wins follows from the ballots alone, whatever their order. Without
a winner there is no result: the error "No Majority", or the tie-breaker's or a person's choice among the options.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from coordination.errors import WorkflowError
from coordination.patterns import sound
from coordination.patterns.about import TASK_INPUT, About, refused
from coordination.patterns.asking import Ask, Person, asked, decided
from coordination.patterns.concurrent import enough, side_by_side
from coordination.workflow import builder as b
from coordination.workflow.builder import Common, Named
from coordination.workflow.document import Document
from kg.values import Json

Rule = Literal["plurality", "majority", "two-thirds", "unanimous"]
#: The share of all weight that a winner needs; the first value is exceeded, or reached where the second says so.
SHARES: Final[Mapping[Rule, tuple[str, str]]] = {
    "plurality": ("0", ">"),
    "majority": ("0.5", ">"),
    "two-thirds": ("0.6666666666", ">="),
    "unanimous": ("1", ">="),
}

#: The parts of a vote's weight that are counted.
UNIT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Vote:
    """Voters, options, and the rule. `weighted` counts a vote by its confidence; `quorum` is how many must vote (0: all).

    Input: ``{task, context}``; output: ``{choice, tally: [{choice, votes, weight}], ballots, failed}``.
    """

    about: About
    voters: tuple[Ask, ...]
    options: tuple[str, ...]
    rule: Rule = "majority"
    weighted: bool = False
    quorum: int = 0
    tie_breaker: Ask | None = None
    person: Person | None = None


def vote(settings: Vote) -> Document:
    """The workflow."""
    sound.some("the voters", settings.voters)
    sound.some("the options", settings.options)
    sound.distinct("options", settings.options)
    sound.quorum(settings.quorum, len(settings.voters))
    if settings.rule not in SHARES:
        raise WorkflowError(f"a vote is won by {', '.join(SHARES)}, not {str(settings.rule)[:40]!r}; choose one")
    tasks = [
        b.set_("begin", {"task": "${ .task }", "context": "${ .context }", "options": list(settings.options)}),
        side_by_side("ballots", ballots(settings.voters, settings.options)),
        enough(settings.quorum or len(settings.voters), None),
        *counted(settings.rule, weighted=settings.weighted),
        *_unresolved(settings),
        b.set_("result", "${ {choice, tally, ballots: .answers, failed} }"),
    ]
    return settings.about.workflow("Agents vote among options.", tasks, TASK_INPUT)


def ballots(voters: tuple[Ask, ...], options: tuple[str, ...]) -> tuple[Ask, ...]:
    """The voters, each bound to name one of the options."""
    return tuple(replace(voter, check=replace(voter.check, schema=ballot(options))) for voter in voters)


def ballot(options: tuple[str, ...]) -> Json:
    """JSON Schema of a vote."""
    choice: Json = {"type": "string", "enum": list(options)}
    return {"type": "object", "required": ["choice"], "properties": {"choice": choice, "reason": {"type": "string"}}}


def counted(rule: Rule, *, weighted: bool) -> list[Named]:
    """The tasks that count `answers` into `tally` and `choice`, which is null where nothing won."""
    # Shares of sureness in whole millionths: sums of fractions would make winners of what is a tie.
    weight = f"(map(.confidence * {UNIT} | round) | add) / {UNIT}" if weighted else "length"
    tally = (
        "[.answers | group_by(.output.choice)[] | {choice: .[0].output.choice, votes: length, weight: ("
        + weight
        + ")}] | sort_by(-.weight)"
    )
    share, compared = SHARES[rule]
    won = (
        f"(.tally | map(.weight * {UNIT} | round)) as $w | ($w | add // 0) as $all "
        f"| if $all > 0 and $w[0] {compared} $all * {share} and $w[0] > $w[1] "
        "then .tally[0].choice else null end"
    )
    return [
        b.set_("count", "${ .tally = (" + tally + ") }"),
        b.set_("choose", "${ .choice = (" + won + ") }"),
    ]


def _unresolved(settings: Vote) -> list[Named]:
    none = "${ .choice == null }"
    chosen = Common(if_=none, output_as="${ . as $answer | $input | .choice = $answer.output.choice }")
    if settings.tie_breaker is not None:
        (breaker,) = ballots((settings.tie_breaker,), settings.options)
        return [asked("break-tie", breaker, task='${ "No option won; choose one: " + .task }', common=chosen)]
    why = '${ "no option won: " + ([.tally[] | "\\(.choice) \\(.weight)"] | join(", ")) }'
    if settings.person is None:
        return [b.raise_("no-majority", refused("No Majority", why), Common(if_=none))]
    kept = Common(if_=none, output_as="${ . as $answer | $input | .choice = $answer.output }")
    return [b.do("undecided", decided(settings.person, why), kept)]
