"""A workflow as a picture has it: blocks inside blocks, and arrows between those of one list.

Invariant: the same document gives the same picture, part by part in its order; what the text says of flow, and no more, is drawn.
How it looks is the part of `mermaid` and `svg`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from coordination.workflow.document import Document
from coordination.workflow.flow import cases
from coordination.workflow.source import pointer
from coordination.workflow.walk import Entry, inner
from kg.values import Json

#: `end` is a word of Mermaid, so no point may be called so.
START: Final = "begin"
END: Final = "finish"
#: Characters of a label that are kept.
LABEL_MAX: Final = 40

Body = Mapping[str, Json]

_LANES: Final = {"try": "try", "catch": "catch", "fork": "", "foreach": "each event", "with": "each message", "do": ""}


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one block to another of the same picture, with what is said on it."""

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """A list of blocks: one after the other with arrows, or side by side. `leave` is the point where its flow ends early."""

    id: str
    title: str
    blocks: tuple["Block", ...]
    arrows: tuple[Arrow, ...] = ()
    parallel: bool = False
    leave: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A task: what it is called, what it does in a few words, and what stands inside it."""

    id: str
    name: str
    kind: str
    detail: str
    lanes: tuple[Lane, ...] = ()


def graph(document: Document) -> Lane:
    """The picture of a document that fits its shape; its outermost list."""
    return _lane(document.body["do"], "/do", "n", "", False)


def _entries(value: Json, at: str) -> list[Entry]:
    return [
        Entry(name, pointer(pointer(at, index), name), task)
        for index, item in enumerate(value)
        for name, task in item.items()
    ]


def _lane(value: Json, at: str, id: str, title: str, parallel: bool) -> Lane:
    found = _entries(value, at)
    blocks = tuple(_block(entry, f"{id}{index}") for index, entry in enumerate(found))
    if parallel:
        return Lane(id, title, blocks, parallel=True)
    outermost = at == "/do"
    leave = END if outermost else f"{id}x"
    arrows = tuple(_arrows(found, blocks, leave, outermost))
    left = any(arrow.target == leave for arrow in arrows)
    return Lane(id, title, blocks, arrows, leave=leave if left or outermost else "")


def _block(entry: Entry, id: str) -> Block:
    lanes = []
    for index, (value, at, parallel) in enumerate(inner(entry)):
        if isinstance(value, list):
            part = at.removeprefix(f"{entry.pointer}/").split("/")[0]
            lanes.append(_lane(value, at, f"{id}_{index}_", _LANES[part], parallel))
    return Block(id, entry.name, entry.kind, _short(_detail(entry)), tuple(lanes))


def _arrows(entries: list[Entry], blocks: tuple[Block, ...], leave: str, outermost: bool) -> Iterator[Arrow]:
    """Each way from one task to another; in an inner list going on past the last needs no arrow."""
    ids = {entry.name: block.id for entry, block in zip(entries, blocks, strict=True)}
    if outermost:
        yield Arrow(START, blocks[0].id if blocks else END)

    def target(then: str, index: int) -> str:
        if then == "continue":
            return blocks[index + 1].id if index + 1 < len(blocks) else (leave if outermost else "")
        return ids.get(then, END if then == "end" else leave)

    for index, entry in enumerate(entries):
        for then, label in _ways(entry):
            if to := target(then, index):
                yield Arrow(blocks[index].id, to, label)


def _ways(entry: Entry) -> Iterator[tuple[str, str]]:
    """The directives that a task may follow, each with its label."""
    then = entry.task.get("then", "continue")
    if entry.kind == "raise":
        if "if" in entry.task:
            yield "continue", "skipped"
        return
    if entry.kind == "switch":
        found = [(name, case) for item in entry.task["switch"] for name, case in item.items()]
        for name, case in found:
            yield case["then"], _short(name)
        if all("when" in case for case, _ in cases(entry)):
            yield then, "otherwise"
        return
    if "if" in entry.task and then != "continue":
        yield "continue", "skipped"
    yield then, ""
    catch = entry.task.get("catch")
    if isinstance(catch, Mapping) and "then" in catch and catch["then"] != then:
        yield catch["then"], "caught"


def _detail(entry: Entry) -> str:
    """What a task does, in a few words."""
    return _DETAILS[entry.kind](entry.task, entry.task[entry.kind]) if entry.kind in _DETAILS else ""


def _call(task: Body, said: Json) -> str:
    given = task.get("with") or {}
    if said == "http":
        endpoint = given["endpoint"]
        return f"{str(given['method']).upper()} {endpoint if isinstance(endpoint, str) else endpoint['uri']}"
    return f"{said} {given.get('operationId') or given.get('method') or given.get('name') or given.get('agent') or ''}".strip()


def _wait(_: Body, said: Json) -> str:
    return said if isinstance(said, str) else " ".join(f"{count} {unit}" for unit, count in said.items())


def _for(_: Body, said: Json) -> str:
    return f"each {said.get('each', 'item')} in {said['in'] if isinstance(said['in'], str) else 'a list'}"


def _raise(_: Body, said: Json) -> str:
    error = said["error"]
    return error if isinstance(error, str) else f"{error['status']} {error.get('title', error['type'])}"


def _run(_: Body, said: Json) -> str:
    kind = next(name for name in ("workflow", "script", "shell", "container") if name in said)
    return f"workflow {said[kind]['name']}" if kind == "workflow" else kind


_DETAILS: Final[Mapping[str, Callable[[Body, Json], str]]] = {
    "call": _call,
    "wait": _wait,
    "for": _for,
    "raise": _raise,
    "run": _run,
    "emit": lambda _, said: str((said["event"].get("with") or {}).get("type", "")),
    "listen": lambda _, said: _strategy(said["to"]),
    "fork": lambda _, said: "the first wins" if said.get("compete") else "all",
    "set": lambda _, said: ", ".join(said) if isinstance(said, dict) else "",
}


def _strategy(to: Mapping[str, Json]) -> str:
    how = next(name for name in ("one", "any", "all") if name in to)
    wanted = [to["one"]] if how == "one" else to[how]
    types = [str(one["with"].get("type", "event")) for one in wanted]
    return f"{how}: {', '.join(types) or 'every event'}"


def _short(text: str) -> str:
    plain = " ".join(str(text).split())
    return plain if len(plain) <= LABEL_MAX else plain[: LABEL_MAX - 1] + "…"
