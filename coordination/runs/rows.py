"""Rows: a strand as its state row and back. What is large stands beside it as a payload, so the row stays small whatever flows.

Invariant: reading what was written gives the strand again; a large value that did not change since it was last written is not
written again by the same claim. Decides nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from coordination.workflow.strand import Frame, Strand
from kg import payloads
from kg.model import ABSENT, State, StateWrite
from kg.store import GraphStore
from kg.values import Json

KIND: Final = "strand"
#: Characters of a value inside a frame that stay there; frames are written with every step.
HELD_MAX: Final = 512
#: Values remembered as written; more are written again.
PACKED_MAX: Final = 1_000
_LARGE: Final = ("raw", "in", "items", "got", "out")


@dataclass(slots=True)
class Rows:
    """Packs and unpacks the strands of one run during one claim."""

    store: GraphStore
    run: str
    _packed: dict[int, tuple[Json, list[Json]]] = field(default_factory=dict)

    def write(self, strand: Strand) -> list[StateWrite]:
        """The row of a strand at the revision it was read at, with the payloads it needs."""
        rows: list[StateWrite] = []
        form: dict[str, Json] = {
            "f": [self._frame(frame, rows) for frame in strand.frames],
            "d": self._hold(strand.data, payloads.INLINE_MAX, rows),
            "n": strand.count,
            "s": strand.state,
        }
        if strand.context is not None:
            form["c"] = self._hold(strand.context, payloads.INLINE_MAX, rows)
        if strand.wait is not None:
            form["w"] = self._hold(strand.wait, payloads.INLINE_MAX, rows)
        if strand.problem is not None:
            form["p"] = strand.problem
        if strand.parent:
            form |= {"parent": strand.parent, "branch": strand.branch}
        # INVARIANT I7: the revision is the fencing token; a strand that somebody else advanced is at another.
        rows.append(StateWrite(KIND, strand.key, form, expect=strand.revision))
        return rows

    def removed(self, strand: Strand) -> StateWrite:
        """The removal of a strand's row."""
        return StateWrite(KIND, strand.key, None, expect=strand.revision or ABSENT)

    def of(self, row: State) -> Strand:
        """The strand of a row."""
        form: Mapping[str, Any] = row.value
        return Strand(
            self.run,
            row.key.rpartition("/")[2],
            [self._unframe(frame) for frame in form["f"]],
            self._take(form["d"]),
            self._take(form["c"]) if "c" in form else None,
            form["n"],
            form["s"],
            self._take(form["w"]) if "w" in form else None,
            form.get("p"),
            form.get("parent", ""),
            form.get("branch", 0),
            row.revision,
        )

    def _frame(self, frame: Frame, rows: list[StateWrite]) -> Frame:
        made = {
            name: self._hold(item, HELD_MAX, rows, name != "got") if name in _LARGE else item
            for name, item in frame.items()
        }
        if "vars" in frame:
            made["vars"] = {name: self._hold(item, HELD_MAX, rows) for name, item in frame["vars"].items()}
        if "raw" in frame and frame.get("in") is frame["raw"]:
            made["in"] = ["r"]
        return made

    def _unframe(self, frame: Frame) -> Frame:
        made = {name: self._take(item) if name in _LARGE and item != ["r"] else item for name, item in frame.items()}
        if "vars" in made:
            made["vars"] = {name: self._take(item) for name, item in made["vars"].items()}
        if made.get("in") == ["r"]:
            made["in"] = made["raw"]
        return made

    def _hold(self, value: Json, inline: int, rows: list[StateWrite], still: bool = True) -> list[Json]:
        if not isinstance(value, dict | list | str) or not value:
            return ["v", value]
        found = self._packed.get(id(value)) if still else None
        if found is not None and found[0] is value:
            return found[1]
        text = payloads.text_of(value)
        if len(text) <= inline:
            return ["v", value]
        digest, row = payloads.row(self.run, text)
        rows.append(row)
        held: list[Json] = ["p", digest]
        # Values that flow are never changed in place, but what a frame gathers is.
        if still and len(self._packed) < PACKED_MAX:
            self._packed[id(value)] = (value, held)
        return held

    def _take(self, held: list[Json]) -> Json:
        if held[0] == "v":
            return held[1]
        value = payloads.read(self.store, self.run, held[1])
        self._packed[id(value)] = (value, held)
        return value


def key(run: str, strand: str) -> str:
    """The key of a strand's row."""
    return f"{run}/{strand}"
