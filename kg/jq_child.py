"""The child process of kg.jq: compiles and runs jq programs under hard limits. It is started as a script and imports only jq.

Protocol: one JSON line in, one JSON line out. ``{"program": p, "values": [v…]}`` gives ``{"results": [r…]}``, each r
``{"value": x}``, ``{}`` (no output), ``{"many": true}`` or ``{"error": text}``; or ``{"refused": text}`` where p does not compile.
``{"programs": [p…], "value": v}`` runs several on one value, where one that does not compile is an r of its own.
After the limits are set no file can be opened, no process started, and no memory beyond the bound be had.
"""

import json
import resource
import sys
import time
from typing import Any

import jq

#: Shadows everything that could tell a program about its surroundings; the line break ends a trailing comment.
PROLOGUE = (
    "def env: {}; def input: null; def inputs: empty; def input_filename: null; def input_line_number: 0; "
    "def debug: .; def debug(m): .; def stderr: .; def halt: null; def halt_error: null; def halt_error(c): null; "
    "def get_search_list: []; def modulemeta: null; {} as $ENV | (\n"
)
EPILOGUE = "\n)"
PROGRAMS_MAX = 256
ERROR_MAX = 300
ANSWER_MAX = 64_000_000


def _confine(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(limit, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


def _run(program: Any, value: Any) -> dict[str, Any]:
    try:
        outputs = iter(program.input_value(value))
        for first in outputs:
            # One more is enough to know that there are many; an endless program stops here.
            return {"many": True} if next(outputs, outputs) is not outputs else {"value": first}
    except ValueError as error:
        return {"error": str(error)[:ERROR_MAX]}
    return {}


def _compiled(text: str, programs: dict[str, Any]) -> Any:
    if text not in programs:
        if len(programs) >= PROGRAMS_MAX:
            programs.clear()
        programs[text] = jq.compile(PROLOGUE + text + EPILOGUE)
    return programs[text]


def _one(text: str, value: Any, programs: dict[str, Any]) -> dict[str, Any]:
    try:
        program = _compiled(text, programs)
    except ValueError as error:
        return {"error": str(error)[:ERROR_MAX]}
    return _run(program, value)


def _answer(request: dict[str, Any], programs: dict[str, Any]) -> dict[str, Any]:
    if "programs" in request:
        return {"results": [_one(text, request["value"], programs) for text in request["programs"]]}
    try:
        program = _compiled(request["program"], programs)
    except ValueError as error:
        return {"refused": str(error)[:ERROR_MAX]}
    return {"results": [_run(program, value) for value in request["values"]]}


def _allow_seconds(seconds: int) -> None:
    """Let the process compute so long from now, so that an endless program ends even where nobody is left to kill it."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds + 1, resource.RLIM_INFINITY))


def main() -> None:
    """Answer requests until the input ends."""
    memory_bytes, seconds = int(sys.argv[1]), int(sys.argv[2])
    _confine(memory_bytes)
    programs: dict[str, Any] = {}
    for line in sys.stdin:
        _allow_seconds(seconds)
        answer = json.dumps(_answer(json.loads(line), programs))
        if len(answer) > ANSWER_MAX:
            answer = json.dumps({"refused": f"the result is longer than {ANSWER_MAX:,} characters"})
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
