"""Checks every jq program of a document: that it compiles, and that it names only what an expression at its place may see.

Invariant: programs are compiled in the bounded child process of `kg.jq` and never run. Knows no data.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from coordination.workflow.checker import Site
from coordination.workflow.expressions import pieces, program
from coordination.workflow.problems import Findings
from coordination.workflow.references import ARGUMENTS
from coordination.workflow.walk import entries
from kg.jq import Jq, JqError
from kg.values import Json

#: Different programs of one document.
PROGRAMS_MAX: Final = 5_000

_BEFORE: Final = ("context", "secrets", "task", "workflow", "runtime")
_WITHIN: Final = (*_BEFORE, "input", "authorization")
#: What an expression may see, by the end of its pointer (dsl.md, the table of runtime expression arguments).
_SEEN: Final[tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]] = (
    (re.compile(r"/input/from(?:/|\Z)"), ("secrets", "workflow", "runtime")),
    (re.compile(r"/output/as(?:/|\Z)"), ("context", "secrets", "workflow", "runtime")),
    (re.compile(r".*/if\Z"), _BEFORE),
    (re.compile(r".*/input/from(?:/|\Z)"), _BEFORE),
    (re.compile(r".*/export/as(?:/|\Z)"), (*_WITHIN, "output")),
)
_UNDEFINED = re.compile(r"\$(\w+) is not defined")
_PLACE = re.compile(r"jq: error: | at <[\w-]+>, line \d+(, column \d+)?:?.*|jq: \d+ compile errors?", re.DOTALL)


def check(body: Mapping[str, Json], sites: Iterable[Site], findings: Findings, jq: Jq) -> None:
    """Note every program that cannot work."""
    scopes = _scopes(body)
    anywhere = tuple(sorted({name for _, names in scopes for name in names} | {"error"}))
    compiled: dict[tuple[str, tuple[str, ...]], str | None] = {}
    for site in sites:
        for text in _programs(site, findings):
            if findings.full:
                return
            names = _visible(site.pointer, scopes, anywhere)
            if (text, names) not in compiled:
                if len(compiled) >= PROGRAMS_MAX:
                    findings.add(site.pointer, f"more than {PROGRAMS_MAX:,} different expressions; split the workflow")
                    return
                compiled[text, names] = _compile(text, names, jq)
            if (problem := compiled[text, names]) is not None:
                findings.add(site.pointer, problem)


def _programs(site: Site, findings: Findings) -> list[str]:
    reading = site.shape.reading
    if reading == "literal":
        return []
    if reading == "program":
        return [program(site.text)]
    if "${" not in site.text:
        return []
    found = pieces(site.text)
    if any(not is_program and "${" in text for is_program, text in found):
        findings.add(site.pointer, "an expression begins with ${ and has no end; close it with }")
        return []
    return [text for is_program, text in found if is_program]


def _scopes(body: Mapping[str, Json]) -> list[tuple[str, tuple[str, ...]]]:
    """The variables that tasks bring along, each with the pointer under which they are seen."""
    found: list[tuple[str, tuple[str, ...]]] = []

    def bring(said: Json, at: str, *names: tuple[str, str]) -> None:
        if isinstance(said, dict):
            brought = [said.get(field, default) for field, default in names]
            found.append((at, tuple(str(name) for name in brought)))

    for entry in entries(body):
        task, at = entry.task, entry.pointer
        if entry.kind == "for":
            bring(task.get("for"), at, ("each", "item"), ("at", "index"))
        if entry.kind == "listen":
            bring(task.get("foreach"), f"{at}/foreach", ("item", "item"), ("at", "index"))
        if entry.kind == "try":
            bring(task.get("catch"), f"{at}/catch", ("as", "error"))
        given = task.get("with")
        subscription = given.get("subscription") if isinstance(given, dict) else None
        if isinstance(subscription, dict):
            bring(subscription.get("foreach"), f"{at}/with/subscription/foreach", ("item", "item"), ("at", "index"))
    return found


def _visible(at: str, scopes: list[tuple[str, tuple[str, ...]]], anywhere: tuple[str, ...]) -> tuple[str, ...]:
    seen = next((names for pattern, names in _SEEN if pattern.match(at)), _WITHIN)
    if at.startswith("/use/"):
        # A component is used elsewhere, with what is in scope there.
        return tuple(sorted({*seen, *ARGUMENTS, *anywhere}))
    inside = {name for where, names in scopes if at.startswith(f"{where}/") for name in names}
    return tuple(sorted({*seen, *inside}))


def _compile(text: str, names: tuple[str, ...], jq: Jq) -> str | None:
    """What jq says against the program, None where it compiles."""
    binding = "".join(f"null as ${name} | " for name in names if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII))
    if not text.strip():
        return "the expression is empty; write a jq program"
    try:
        jq.check(f"{binding}(\n{text}\n)")
    except JqError as error:
        said = str(error)
        if undefined := _UNDEFINED.search(said):
            name = undefined[1]
            hint = "is not available here" if name in ARGUMENTS else "is not known here"
            return (
                f"the expression {text[:80]!r}: ${name} {hint}; known are {', '.join('$' + known for known in names)}"
            )
        reason = _PLACE.sub("", said.removeprefix("the jq program is not usable: ")).strip(" ;")
        return f"the expression {text[:80]!r} is no jq: {reason}; correct it"
    return None
