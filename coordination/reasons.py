"""Reasons: which layer the words of a record speak of; see `diagnosis` for the layers.

Invariant: what stood in an answer, a comment or a target's refusal is never read for a word of ours where the record says who wrote
it. Reads nothing: it is handed the words.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

#: What words of a record mean; the first that fits counts. Errors are named by their class, which their raiser chose.
_WORDS: Final[Sequence[tuple[str, str]]] = (
    # What a function or an agent's code raised may say anything: it is told by who raised it.
    ("tool", r"^[\w.-]+ raised \w+"),
    # Nobody wrote a reason: whoever held it was gone each time.
    ("platform", r"^given up after \d+ tries:?\s*$"),
    (
        "policy",
        r"^(given up after \d+ tries: )?(\w+: )?agent \S+ raised (ModelBudget|ModelRefused|Budget|Held|Denied)Error\b",
    ),
    ("platform", r"^(given up after \d+ tries: )?(\w+: )?agent \S+ raised ModelOffError\b"),
    ("model", r"^(given up after \d+ tries: )?(\w+: )?agent \S+ (raised|gave|cites|answered with)\b"),
    ("model", r"\bmodel '[^']+' (cannot be reached|gave no usable answer)|gave no result in time"),
    ("tool", r"the process (ended with exit code|ran longer|wrote more)"),
    ("platform", r"the secret '.*' is not there|there is no secret "),
    (
        "policy",
        r"ModelBudgetError|BudgetError|^budget |budget \S+ has .* left|is held by|held by a control|not answered by"
        r"|^control \S+ lets ",
    ),
    ("policy", r"^Cancelled: |run \S+ was cancelled"),
    ("policy", r"nobody answered|^rejected by|forbidden by|no rule permits|rule could not be evaluated|needs approval"),
    (
        "policy",
        r"may not do|acts on behalf of more|belongs to the platform|a person chose|a person chooses|DeniedError",
    ),
    ("context", r"the proposal rests on|is not there any more|there is no entity|is not there; name its|MaskedError"),
    ("context", r"may not be seen"),
    ("routing", r"no agent is called|no agent is there for|answers no tasks|LaneError"),
    ("platform", r"the jq programs? (ran longer|used more)|larger than [\d,]+ (characters|bytes)"),
    (
        "platform",
        r"StoreError|StoreBusyError|BrokerError|ConflictError|LedgerError|OperationalError|MemoryError|CauseReusedError",
    ),
    (
        "platform",
        r"changed each time it was looked at|is not served here|no effector is called|the bound is|ended without an",
    ),
    ("platform", r"is claimed by|wait for each other|lost the claim|deep; end the circle|not configured"),
    ("model", r"ModelError|ModelOffError|AgentError|AgentFaultError|AnswerError|DraftError|gave no usable answer"),
    (
        "model",
        r"the answer cites|the answer's confidence|^the answer|it cannot be applied|agent \S+ raised",
    ),
    (
        "tool",
        r"answered \d{3}|refused with \d{3}|raised \w+|cannot be reached|nobody knows whether|gave no JSON|EffectorError",
    ),
)
_COMPILED: Final = tuple((layer, re.compile(words)) for layer, words in _WORDS)
#: What the title of an error of the patterns means, whatever agents said that stands in its words.
_TITLES: Final = {
    "Ping-Pong": "routing",
    "Too Many Handoffs": "routing",
    "Not Accepted": "model",
    "Poor Answer": "model",
    "No Majority": "model",
    "No Progress": "model",
    "Silence": "model",
    "Rejected": "policy",
    "Denied": "policy",
}
#: Why nobody heard of a target, in our own words at their place; what follows a colon may be the target's.
_UNHEARD: Final = re.compile(
    r"^nobody knows whether it happened \(the try before ended "
    r"|^(given up after \d+ tries:\s*)?($|no effector is called |there is no (secret|OpenAPI document|database|statement) "
    r"|(the )?secret '[^']*' (is not|holds no)|(Store|StoreBusy|StoreReadOnly|Ledger|Broker|Conflict|Operational|Memory)Error\b)"
)
#: What it means where its words say nothing.
_ELSE: Final = {"No Answer": "model", "No Quorum": "model", "No Result": "model", "Too Many Failures": "model"}
#: Kinds of the specification's errors that mean one layer where the words say nothing.
_KINDS: Final = {
    "authorization": "policy",
    "authentication": "policy",
    "communication": "tool",
    "expression": "context",
    "validation": "context",
    "timeout": "tool",
}


def of_words(text: str, otherwise: str) -> str:
    """The layer of which words speak that the platform itself put on record; `otherwise` where they speak of none."""
    return next((layer for layer, words in _COMPILED if words.search(text)), otherwise)


def of_effect(text: str, otherwise: str) -> str:
    """The layer of why an effect did not happen: the target's words, whatever they are, unless nobody heard of it."""
    return "platform" if _UNHEARD.search(text) else otherwise


def named(problem: Mapping[str, Any]) -> bool:
    """Whether an error's title is one by which a pattern says who failed."""
    title = str(problem.get("title", ""))
    return title in _TITLES or title in _ELSE


def of_problem(problem: Mapping[str, Any]) -> str:
    """The layer of a workflow's error: by its title where that says who failed, else by its words, else by its kind."""
    title, kind = str(problem.get("title", "")), str(problem.get("type", "")).rpartition("/")[2]
    usual = _ELSE.get(title, _KINDS.get(kind, "platform"))
    return _TITLES.get(title) or of_words(str(problem.get("detail", "")), usual)
