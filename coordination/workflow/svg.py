"""A workflow's picture as SVG, drawn here: lists run downwards, branches stand side by side, what is inside a task is in its box.

Invariant: needs no program, no font and no network; the size follows from the blocks alone. Lengths are in pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from coordination.workflow.graph import END, START, Block, Lane

_LETTER: Final = 7.0
_LINE: Final = 44
_GAP: Final = 36
_SIDE: Final = 20
_PAD: Final = 14
_TITLE: Final = 40
_END_SIZE: Final = 28
#: Room right of a list for each arrow that jumps.
_JUMP: Final = 16

_FILLS: Final = {
    "switch": "#fff4d6",
    "wait": "#eef1f4",
    "call": "#e3effc",
    "run": "#e3effc",
    "emit": "#e6f6e8",
    "listen": "#e6f6e8",
    "raise": "#fde4e1",
}
_STYLE: Final = (
    "text{font:12px sans-serif;fill:#1d2733}.k{fill:#5b6875;font-size:11px}"
    "rect{stroke:#7a8794}path,line{stroke:#5b6875;fill:none;stroke-width:1.3}"
)
_HEAD: Final = (
    '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" style="fill:#5b6875;stroke:none"/></marker></defs>'
)


@dataclass(frozen=True, slots=True)
class _Box:
    """Where something stands."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height


def svg(lane: Lane, title: str) -> str:
    """The picture as one SVG document."""
    width, height = _lane_size(lane)
    drawing = _Drawing()
    top = _PAD + _END_SIZE + _GAP
    drawing.boxes[START] = _Box(_PAD + width / 2 - 26, _PAD, 52, _END_SIZE)
    drawing.boxes[END] = _Box(_PAD + width / 2 - 26, top + height + _GAP, 52, _END_SIZE)
    drawing.lane(lane, _PAD, top, width)
    drawing.round(START, "start")
    drawing.round(END, "end")
    drawing.arrows()
    full = (width + 2 * _PAD, top + height + _GAP + _END_SIZE + _PAD)
    size = f'width="{full[0]:g}" height="{full[1]:g}" viewBox="0 0 {full[0]:g} {full[1]:g}"'
    body = "".join(drawing.parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{_text(title)}</title>'
        f"<style>{_STYLE}</style>{_HEAD}{body}</svg>\n"
    )


def _text(text: str) -> str:
    """Text that XML 1.0 may hold."""
    return escape("".join(mark if mark.isprintable() else "\ufffd" for mark in text), {'"': "&quot;"})


def _label(block: Block) -> tuple[str, str]:
    return block.name[:60], f"{block.kind} {block.detail}".strip()


def _size(block: Block) -> tuple[float, float]:
    width = max(len(line) for line in _label(block)) * _LETTER + 2 * _PAD
    if not block.lanes:
        return width, _LINE
    sizes = [_lane_size(lane) for lane in block.lanes]
    inside = sum(size[0] for size in sizes) + _SIDE * (len(sizes) - 1)
    return max(width, inside + 2 * _PAD), max(size[1] for size in sizes) + _TITLE + _PAD


def _lane_size(lane: Lane) -> tuple[float, float]:
    sizes = [_size(block) for block in lane.blocks]
    title = 18 if lane.title else 0
    if not sizes:
        return 60.0, float(title + 10)
    if lane.parallel:
        return sum(size[0] for size in sizes) + _SIDE * (len(sizes) - 1), max(size[1] for size in sizes) + title
    leave = _GAP + 18 if lane.leave not in ("", END) else 0
    jumps = _jumps(lane) * _JUMP
    height = sum(size[1] for size in sizes) + _GAP * (len(sizes) - 1) + title + leave
    # As much room on the left as on the right keeps the blocks in the middle.
    return max(size[0] for size in sizes) + 2 * jumps, height


def _jumps(lane: Lane) -> int:
    order = {block.id: index for index, block in enumerate(lane.blocks)}
    return sum(
        order.get(arrow.target, len(order)) != order[arrow.source] + 1 for arrow in lane.arrows if arrow.source in order
    )


class _Drawing:
    """Places the blocks of a picture and draws them."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.boxes: dict[str, _Box] = {}
        self._lanes: list[tuple[Lane, float]] = []

    def lane(self, lane: Lane, x: float, y: float, width: float) -> None:
        """Draw a list into a column, or into columns."""
        if lane.title:
            self._words(x + width / 2, y + 11, lane.title, "k")
            y += 18
        self._lanes.append((lane, x + width))
        if lane.parallel:
            for block in lane.blocks:
                size = _size(block)
                self.block(block, _Box(x, y, *size))
                x += size[0] + _SIDE
            return
        for block in lane.blocks:
            size = _size(block)
            self.block(block, _Box(x + (width - size[0]) / 2, y, *size))
            y += size[1] + _GAP
        if lane.leave not in ("", END):
            self.boxes[lane.leave] = _Box(x + width / 2 - 18, y, 36, 18)
            self.round(lane.leave, "exit")

    def block(self, block: Block, box: _Box) -> None:
        """Draw a task and what is inside it."""
        self.boxes[block.id] = box
        fill = _FILLS.get(block.kind, "#ffffff" if not block.lanes else "#fafbfc")
        corner = 14 if block.kind == "wait" else 3
        self.parts.append(
            f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="{corner}" fill="{fill}"/>'
        )
        name, what = _label(block)
        self._words(box.middle, box.y + 18, name)
        self._words(box.middle, box.y + 34, what, "k")
        sizes = [_lane_size(lane) for lane in block.lanes]
        x = box.x + (box.width - sum(size[0] for size in sizes) - _SIDE * max(0, len(sizes) - 1)) / 2
        for lane, size in zip(block.lanes, sizes, strict=True):
            self.lane(lane, x, box.y + _TITLE, size[0])
            x += size[0] + _SIDE

    def round(self, id: str, words: str) -> None:
        """Draw a point where flow begins or ends."""
        box = self.boxes[id]
        self.parts.append(
            f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="{box.height / 2:g}" '
            f'fill="#dfe5ea"/>'
        )
        self._words(box.middle, box.y + box.height / 2 + 4, words)

    def arrows(self) -> None:
        """Draw the arrows of every list."""
        for lane, right in self._lanes:
            order = {block.id: index for index, block in enumerate(lane.blocks)}
            jumps = 0
            for arrow in lane.arrows:
                source, target = self.boxes[arrow.source], self.boxes[arrow.target]
                following = order.get(arrow.target, len(order)) == order.get(arrow.source, -1) + 1
                if following:
                    self.parts.extend(self._straight(source, target, arrow.label))
                else:
                    jumps += 1
                    self.parts.extend(self._around(source, target, arrow.label, right - jumps * _JUMP + _JUMP / 2))

    def _straight(self, source: _Box, target: _Box, label: str) -> Iterator[str]:
        yield (
            f'<line x1="{source.middle:g}" y1="{source.bottom:g}" x2="{target.middle:g}" y2="{target.y:g}" '
            f'marker-end="url(#a)"/>'
        )
        if label:
            yield _words(source.middle + 6, (source.bottom + target.y) / 2 + 4, label, "k", "start")

    def _around(self, source: _Box, target: _Box, label: str, lane: float) -> Iterator[str]:
        """An arrow that leaves on the right, runs along a lane of its own and comes back in on the right."""
        out, back = source.y + source.height / 2 + 6, target.y + target.height / 2
        right, left = source.x + source.width, target.x + target.width
        yield f'<path d="M{right:g} {out:g}H{lane:g}V{back:g}H{left:g}" marker-end="url(#a)"/>'
        if label:
            yield _words(right + 4, out - 4, label, "k", "start")

    def _words(self, x: float, y: float, text: str, kind: str = "") -> None:
        self.parts.append(_words(x, y, text, kind))


def _words(x: float, y: float, text: str, kind: str = "", anchor: str = "middle") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{style}>{_text(text)}</text>'
