"""Checks where control goes: names in a list, flow directives, tasks that never run, loops that never end.

Invariant: reads one list at a time, since a directive reaches only tasks of its own list. Says nothing of data.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from coordination.workflow.problems import Findings
from coordination.workflow.source import pointer
from coordination.workflow.walk import Entry, TaskList, lists
from kg.unseen import unseen
from kg.values import Json

DIRECTIVES: Final = ("continue", "exit", "end")


def check(body: Mapping[str, Json], findings: Findings) -> None:
    """Note what is wrong with the flow of every list."""
    everywhere = {entry.name for listed in lists(body) for entry in listed.entries}
    for listed in lists(body):
        _names(listed, findings)
        known = _targets(listed, everywhere, findings)
        if known and not listed.parallel:
            _reach(listed, findings)
        for entry in listed.entries:
            if entry.kind == "switch":
                _switch(entry, findings)


def directives(entry: Entry) -> Iterator[tuple[str, str]]:
    """Each `then` of a task with its pointer: its own, those of the cases of a switch, that of a catch."""
    if isinstance(then := entry.task.get("then"), str):
        yield then, f"{entry.pointer}/then"
    for case, at in cases(entry):
        if isinstance(then := case.get("then"), str):
            yield then, f"{at}/then"
    catch = entry.task.get("catch")
    if isinstance(catch, dict) and isinstance(then := catch.get("then"), str):
        yield then, f"{entry.pointer}/catch/then"


def cases(entry: Entry) -> Iterator[tuple[Mapping[str, Json], str]]:
    """The cases of a switch with their pointers."""
    listed = entry.task.get("switch")
    for index, item in enumerate(listed if isinstance(listed, list) else ()):
        for name, case in item.items() if isinstance(item, dict) else ():
            if isinstance(case, dict):
                yield case, pointer(pointer(f"{entry.pointer}/switch", index), name)


def _names(listed: TaskList, findings: Findings) -> None:
    seen: set[str] = set()
    for entry in listed.entries:
        if mark := unseen(entry.name):
            findings.add(entry.pointer, f"a task name holds {mark}, which nobody sees; type the name anew")
        if entry.name in seen:
            findings.add(entry.pointer, f"two tasks of this list are called `{entry.name[:80]}`; rename one")
        if entry.name in DIRECTIVES:
            findings.add(
                entry.pointer, f"`{entry.name}` is a flow directive and no `then` can reach it; rename the task"
            )
        seen.add(entry.name)
    if not listed.entries:
        findings.add(listed.pointer, "this list has no task and does nothing; add one or remove it", "warning")


def _targets(listed: TaskList, everywhere: set[str], findings: Findings) -> bool:
    names = [entry.name for entry in listed.entries]
    known = True
    for entry in listed.entries:
        reach = [entry.name] if listed.parallel else names
        for then, at in directives(entry):
            if then in DIRECTIVES or then in reach:
                continue
            known = False
            if then in names:
                reason = "is another branch; branches run side by side and cannot go to each other"
            elif then in everywhere:
                reason = (
                    "is a task of another list; a directive reaches only its own list, so move the task or use exit"
                )
            else:
                near = get_close_matches(then, [*names, *DIRECTIVES], 1)
                hint = f"did you mean `{near[0]}`?" if near else f"use {', '.join(DIRECTIVES)} or a task of this list"
                reason = f"is no task; {hint}"
            findings.add(at, f"`then: {then[:80]}` {reason}")
    return known


def _switch(entry: Entry, findings: Findings) -> None:
    defaults = [at for case, at in cases(entry) if "when" not in case]
    for at in defaults[1:]:
        findings.add(at, "a switch has one default case and this is the second; give it a `when`")


def after(entry: Entry, index: int, places: Mapping[str, int], count: int) -> set[int]:
    """The places of the list to which control may go from the task at `index`; `count` means that the list is left."""

    def place(then: str) -> int:
        if then == "continue":
            return min(index + 1, count)
        return places.get(then, count)

    own = entry.task.get("then")
    following = place(own if isinstance(own, str) else "continue")
    found: set[int] = {index + 1} if "if" in entry.task else set()
    if entry.kind == "raise":
        return found | {count}
    if entry.kind == "switch":
        listed = list(cases(entry))
        found |= {place(str(case.get("then"))) for case, _ in listed}
        return found if any("when" not in case for case, _ in listed) else found | {following}
    catch = entry.task.get("catch")
    if isinstance(catch, dict) and isinstance(catch.get("then"), str):
        found.add(place(catch["then"]))
    return found | {following}


def _reach(listed: TaskList, findings: Findings) -> None:
    count = len(listed.entries)
    places = {entry.name: index for index, entry in enumerate(listed.entries)}
    onward = [after(entry, index, places, count) for index, entry in enumerate(listed.entries)]
    reached: set[int] = set()
    waiting = [0] if count else []
    while waiting:
        at = waiting.pop()
        if at not in reached:
            reached.add(at)
            waiting += onward[at] if at < count else ()
    for index, entry in enumerate(listed.entries):
        if index not in reached:
            reason = "never runs, no task before it goes on to it"
            findings.add(entry.pointer, f"`{entry.name[:80]}` {reason}; name it in a `then` or remove it", "warning")
    if count and count not in reached:
        findings.add(
            listed.pointer, "this list never ends, every way leads back; add a `then: exit` somewhere", "warning"
        )
