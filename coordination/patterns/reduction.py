"""Map-reduce: one agent works on each item, several items at once, and one brings the results together.

Invariant: so many lanes work side by side, however many items there are; results stand in the order of the items. An item that
fails, fails for itself; more failures than allowed, and there is no result.
"""

from dataclasses import dataclass
from typing import Final

from coordination.patterns import sound
from coordination.patterns.about import About, refused
from coordination.patterns.asking import Ask, asked, tried
from coordination.workflow import builder as b
from coordination.workflow.builder import Common
from coordination.workflow.document import Document
from coordination.workflow.scope import Limits
from kg.values import Json

#: Items of one run: as many as a loop may have.
ITEMS_MAX: Final = Limits().items_max


@dataclass(frozen=True, slots=True)
class MapReduce:
    """Who works on an item, who brings together, how many at once, how many items may fail, how many there may be.

    Input: ``{task, items, context}``; output: ``{output, results, failed}``; the mapper's context is ``{item, index, context}``.
    """

    about: About
    mapper: Ask
    reducer: Ask | None = None
    lanes: int = 4
    failures_max: int = 0
    items_max: int = 1_000


def map_reduce(settings: MapReduce) -> Document:
    """The workflow."""
    sound.whole("the lanes", settings.lanes, 1)
    sound.whole("how many items may fail", settings.failures_max, 0, ITEMS_MAX)
    sound.whole("how many items there may be", settings.items_max, 0, ITEMS_MAX)
    takes: Json = {
        "type": "object",
        "required": ["task", "items"],
        "properties": {"task": {"type": "string"}, "items": {"type": "array", "maxItems": settings.items_max}},
    }
    gathered = (
        "${ [.[].done[]] | sort_by(.index) as $all | $input | {task, context, results: [$all[] | "
        "if .failed then null else .output end], failed: [$all[] | select(.failed) | {index, failed}]} }"
    )
    few = f"${{ (.failed | length) > {settings.failures_max} }}"
    why = '${ "\\(.failed | length) of \\(.results | length) items failed, the first: " + .failed[0].failed.detail }'
    tasks = [
        b.fork("map", [_lane(settings, lane) for lane in range(settings.lanes)], common=Common(output_as=gathered)),
        b.raise_("failures", refused("Too Many Failures", why), Common(if_=few)),
    ]
    if settings.reducer is not None:
        kept = Common(output_as="${ . as $answer | $input | .output = $answer.output }")
        tasks.append(asked("reduce", settings.reducer, common=kept))
    output = ".output" if settings.reducer is not None else ".results"
    tasks.append(b.set_("result", f"${{ {{output: {output}, results, failed}} }}"))
    return settings.about.workflow("One agent an item, several at once; one brings together.", tasks, takes)


def _lane(settings: MapReduce, lane: int) -> b.Named:
    """Every so-many-th item, one after the other."""
    mine = f"[.items | to_entries[] | select(.key % {settings.lanes} == {lane})]"
    context = "${ {item: $item.value, index: $item.key, context: .context} }"
    one = tried("one", asked("work", settings.mapper, context=context), settings.mapper.agent)
    kept = "${ . as $answer | $input | .done += [$answer + {index: $item.key}] }"
    body = [b.do("each", [one], Common(output_as=kept))]
    given = f"${{ {{task, context, done: [], mine: {mine}}} }}"
    return b.for_(f"lane-{lane + 1}", "${ .mine }", body, common=Common(input_from=given))
