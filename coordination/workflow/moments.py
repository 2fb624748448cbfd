"""Checks what a document says of time, addresses and events: durations, cron lines, URI templates, schedules, event filters.

Invariant: only what is written out is judged; an expression shows its worth when it runs.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from coordination.workflow.checker import Site
from coordination.workflow.cron import Cron
from coordination.workflow.durations import microseconds
from coordination.workflow.faults import Fault
from coordination.workflow.problems import Findings
from coordination.workflow.walk import Entry, entries
from kg.values import Json

_BRACES = re.compile(r"\{([^{}]*)\}")
_OPERATOR = re.compile(r"[+#./;?&=,!@|]")


def check(
    body: Mapping[str, Json], sites: Iterable[Site], lengths: Iterable[tuple[str, Json]], findings: Findings
) -> None:
    """Note every time, address and filter that cannot work; `lengths` are the durations written as mappings."""
    for site in sites:
        # A schedule has no data of which an expression could make a duration.
        written = "${" not in site.text or (site.kind == "duration" and site.pointer.startswith("/schedule/"))
        if (judge := _KINDS.get(site.kind)) is not None and written:
            judge(site, findings)
    for at, value in lengths:
        _duration(value, at, findings)
    _schedule(body, findings)
    _about(body, findings)
    for entry in entries(body):
        _events(entry, findings)


def _uri(site: Site, findings: Findings) -> None:
    """RFC 6570, of which the specification takes simple string expansion only."""
    if "{" in _BRACES.sub("", site.text) or "}" in _BRACES.sub("", site.text):
        findings.add(site.pointer, "a brace of the address is not closed; write {name} or %7B for the character")
        return
    for name in _BRACES.findall(site.text):
        if not name or _OPERATOR.match(name[:1]) or name.endswith("*") or "," in name:
            reason = "only {name} is understood in an address; write the rest as an expression ${ … }"
            findings.add(site.pointer, f"`{{{name[:80]}}}`: {reason}")


def _cron(site: Site, findings: Findings) -> None:
    try:
        Cron(site.text)
    except ValueError as error:
        findings.add(
            site.pointer, f"`{site.text[:80]}` is no cron line: {error}; write five fields such as 0 8 * * 1-5"
        )


def _duration(value: Json, at: str, findings: Findings) -> None:
    try:
        microseconds(value)
    except Fault as fault:
        findings.add(at, str(fault.problem["detail"]))


def _schedule(body: Mapping[str, Json], findings: Findings) -> None:
    schedule = body.get("schedule")
    if isinstance(schedule, dict) and not schedule.keys() & {"every", "cron", "after", "on"}:
        findings.add("/schedule", "the schedule never starts anything; add every, cron, after or on")


def _about(body: Mapping[str, Json], findings: Findings) -> None:
    about = body.get("document")
    dsl = about.get("dsl") if isinstance(about, dict) else None
    if isinstance(dsl, str) and not dsl.startswith("1."):
        findings.add(
            "/document/dsl", f"the document is written for version {dsl[:40]} of the specification; write 1.0.3"
        )
    evaluate = body.get("evaluate")
    language = evaluate.get("language", "jq") if isinstance(evaluate, dict) else "jq"
    if isinstance(language, str) and language != "jq":
        findings.add("/evaluate/language", f"expressions in {language[:40]!r} are not understood; write them in jq")


def _events(entry: Entry, findings: Findings) -> None:
    at = entry.pointer
    emit = entry.task.get("emit")
    event = emit.get("event") if isinstance(emit, dict) else None
    if isinstance(event, dict) and "with" not in event:
        findings.add(f"{at}/emit/event", "the event says nothing of itself; add `with` and its `type`")
    listen = entry.task.get("listen")
    strategy = listen.get("to") if isinstance(listen, dict) else None
    if isinstance(strategy, dict) and strategy.get("all") == []:
        findings.add(f"{at}/listen/to/all", "it waits for no event and ends at once; name the events", "warning")


def _pattern(site: Site, findings: Findings) -> None:
    try:
        re.compile(site.text)
    except (re.error, RecursionError, OverflowError) as error:
        reason = f"the filter is no regular expression ({str(error)[:80]}); put a backslash before the character"
        findings.add(site.pointer, reason)


def _length(site: Site, findings: Findings) -> None:
    _duration(site.text, site.pointer, findings)


_KINDS: Mapping[str, Callable[[Site, Findings], None]] = {
    "uri": _uri,
    "cron": _cron,
    "duration": _length,
    "pattern": _pattern,
}
