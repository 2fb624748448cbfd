"""Reads YAML text into events that know their line and column, by the core schema of YAML 1.2, which holds JSON and no more.

Invariant: no tag makes an object; `on`, `yes` and dates stay text, as YAML 1.2 says (the vendor's parser follows 1.1 there).
Does not bound size or depth: the builder of `source` does.
"""

import re
from collections.abc import Callable, Iterator

import yaml

from coordination.errors import WorkflowError
from coordination.workflow.events import Event
from coordination.workflow.json_text import NUMBER_MAX
from kg.values import Json

#: YAML 1.2.2, section 10.3.2, tag resolution of the core schema.
_PLAIN: tuple[tuple[re.Pattern[str], Callable[[str], Json]], ...] = (
    (re.compile(r"(?:null|Null|NULL|~|)\Z"), lambda _: None),
    (re.compile(r"(?:true|True|TRUE)\Z"), lambda _: True),
    (re.compile(r"(?:false|False|FALSE)\Z"), lambda _: False),
    (re.compile(r"[-+]?[0-9]+\Z"), int),
    (re.compile(r"0o[0-7]+\Z"), lambda text: int(text[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]+\Z"), lambda text: int(text[2:], 16)),
    (re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z"), float),
    (re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z"), lambda text: float("-inf" if text.startswith("-") else "inf")),
    (re.compile(r"\.(?:nan|NaN|NAN)\Z"), lambda _: float("nan")),
)
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def events(text: str, name: str) -> Iterator[Event]:
    """The events of the one YAML document; WorkflowError with line and column where it is none."""
    documents = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            mark = event.start_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise WorkflowError(f"{name}:{line}:{column}: a second document begins; keep one workflow a file")
            if isinstance(event, yaml.AliasEvent):
                yield Event("alias", line, column, anchor=event.anchor)
            elif isinstance(event, yaml.CollectionEndEvent):
                yield Event("end", line, column)
            elif isinstance(event, yaml.CollectionStartEvent | yaml.ScalarEvent):
                yield _started(event, name, line, column)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        said = " ".join(str(problem.problem or problem.context).split())[:200]
        raise WorkflowError(f"{name}:{where}: not valid YAML: {said}; correct it") from None
    except (yaml.YAMLError, ValueError) as problem:
        said = " ".join(str(problem).split())[:160]
        raise WorkflowError(f"{name}:1:1: not valid YAML: {said}; correct it") from None


def _started(event: yaml.CollectionStartEvent | yaml.ScalarEvent, name: str, line: int, column: int) -> Event:
    if event.tag is not None:
        raise WorkflowError(f"{name}:{line}:{column}: the tag {event.tag[:80]} is not allowed; write a plain value")
    if not isinstance(event, yaml.ScalarEvent):
        return Event("map" if isinstance(event, yaml.MappingStartEvent) else "list", line, column, anchor=event.anchor)
    text: str = event.value
    # Only a plain scalar, one without quotes, may be something else than text.
    plain = event.implicit[0] if isinstance(event.implicit, tuple) else event.implicit
    if not plain:
        return Event("scalar", line, column, text, text, event.anchor)
    if len(text) > NUMBER_MAX and text[:NUMBER_MAX].lstrip("+-").isdigit():
        raise WorkflowError(f"{name}:{line}:{column}: a number of more than {NUMBER_MAX:,} digits; write it as text")
    value: Json = next((make(text) for pattern, make in _PLAIN if pattern.match(text)), text)
    return Event("scalar", line, column, value, text, event.anchor)
