"""A workflow's picture as Mermaid text, which many viewers of Markdown draw.

Invariant: names of the workflow only ever stand inside quotes with their special characters written out, so no name becomes syntax.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from coordination.workflow.graph import END, START, Block, Lane

_SHAPES: Final[Mapping[str, tuple[str, str]]] = {
    "switch": ("{", "}"),
    "wait": ("([", "])"),
    "call": ("[[", "]]"),
    "run": ("[[", "]]"),
    "emit": ("[/", "/]"),
    "listen": ("[\\", "\\]"),
    "raise": ("{{", "}}"),
}


def mermaid(lane: Lane) -> str:
    """The flowchart."""
    lines = ["flowchart TD", f'  {START}(["start"])', f'  {END}(["end"])', *_lane(lane, 1)]
    return "\n".join(lines) + "\n"


def _lane(lane: Lane, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for block in lane.blocks:
        yield from _block(block, depth)
    if lane.leave not in ("", END):
        yield f'{indent}{lane.leave}(("exit"))'
    for arrow in lane.arrows:
        label = f"|{_quoted(arrow.label)}|" if arrow.label else ""
        yield f"{indent}{arrow.source} -->{label} {arrow.target}"


def _block(block: Block, depth: int) -> Iterator[str]:
    indent = "  " * depth
    label = f"{block.name}: {block.kind}" + (f" {block.detail}" if block.detail else "")
    if not block.lanes:
        opening, closing = _SHAPES.get(block.kind, ("[", "]"))
        yield f"{indent}{block.id}{opening}{_quoted(label)}{closing}"
        return
    yield f"{indent}subgraph {block.id}[{_quoted(label)}]"
    for lane in block.lanes:
        if lane.title:
            yield f"{indent}  subgraph {lane.id}[{_quoted(lane.title)}]"
            yield from _lane(lane, depth + 2)
            yield f"{indent}  end"
        else:
            yield from _lane(lane, depth + 1)
    yield f"{indent}end"


def _quoted(text: str) -> str:
    """A label in quotes; what Mermaid or HTML would read is written as a character code."""
    plain = "".join(f"#{ord(mark)};" if mark in '"#&<>`\\;' or not mark.isprintable() else mark for mark in text)
    return f'"{plain}"'
