"""Answering: what an agent hands in for an answer, checked: JSON of a bounded size, evidence it was given, a share of sureness.

Invariant: an answer leaves only if its evidence was handed out while it was made. Whatever the agent raises is one AnswerError that
says so; what is wrong with the store, or held by a budget that waits, is not the agent's and passes. Judges no content:
the workflow says what is good enough.
"""

from decimal import Decimal
from typing import Final

from agents.agent import Agent
from agents.context import Context
from coordination.acting import Answer, Assignment
from coordination.errors import AnswerError, HeldError, RetryLater
from kg.errors import ConflictError, StoreError
from kg.payloads import text_of

#: Characters of JSON of one answer.
OUTPUT_MAX: Final = 1_000_000
EVIDENCE_MAX: Final = 1_000


def answer(agent: Agent, assignment: Assignment, context: Context) -> Answer:
    """What the agent answers; raises AnswerError where that is nothing usable."""
    method = getattr(agent, "answer", None)
    if not callable(method):
        raise AnswerError(f"agent {agent.name!r} answers no tasks; give it a method `answer`, or ask another")
    try:
        given: object = method(assignment, context)
    except (AnswerError, HeldError, RetryLater, StoreError, ConflictError):
        raise
    except (Exception, SystemExit) as error:
        raise AnswerError(f"agent {agent.name!r} raised {type(error).__name__}: {error}") from error
    if not isinstance(given, Answer):
        raise AnswerError(f"agent {agent.name!r} answered with {type(given).__name__}; let it return an Answer")
    return _checked(agent.name, given, context)


def _checked(name: str, given: Answer, context: Context) -> Answer:
    for what, value, most in (("confidence", given.confidence, Decimal(1)), ("cost", given.cost, None)):
        number: object = value
        if (
            not isinstance(number, Decimal)
            or not number.is_finite()
            or number < 0
            or (most is not None and number > most)
        ):
            bound = "from 0 to 1" if most is not None else "of 0 or more"
            raise AnswerError(f"agent {name!r} gave {str(number)[:40]!r} as {what}; give a Decimal {bound}")
    try:
        size = len(text_of(given.output))
    except (TypeError, ValueError, RecursionError) as error:
        raise AnswerError(f"the answer of agent {name!r} is no JSON: {error}") from error
    if size > OUTPUT_MAX or len(given.evidence) > EVIDENCE_MAX:
        raise AnswerError(
            f"the answer of agent {name!r} has {size:,} characters and {len(given.evidence):,} items of evidence; "
            f"keep to {OUTPUT_MAX:,} and {EVIDENCE_MAX:,}"
        )
    unread = set(given.evidence) - set(context.read)
    if unread:
        named = ", ".join(sorted(f"{item.id}@{item.version}" for item in unread)[:3])
        raise AnswerError(f"agent {name!r} cites {named}, which it did not read; cite what the context gave")
    return given
