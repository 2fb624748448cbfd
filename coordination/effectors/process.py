"""Process: an effect as one shell command or script, shut in by `confining`. The payload names `run` ("shell" or "script"),
`command` or `language` and `code`, and may name `arguments`, `environment`, `stdin` and `seconds`.

Invariants: nothing of our environment, files or secrets is in its reach; a repetition is never silent, since nobody can ask a
process by a key. That it was stopped for its time or its output is a result, on record like any other.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from coordination.effectors import confining
from coordination.effectors.confining import Bounds, Command
from coordination.effectors.declared import undo_of
from coordination.effectors.effector import Effect, Receipt, Undo
from coordination.errors import EffectorError, GiveUp
from kg.values import Json, canonical

#: Characters of a command or script, and of its standard input.
CODE_MAX: Final = 100_000
STDIN_MAX: Final = 1_000_000
WORDS_MAX: Final = 200
WORD_MAX: Final = 20_000
LANGUAGES: Final = {"python": "python", "js": "js", "javascript": "js"}
#: Addresses that the engine of JavaScript reserves and does not use.
_JS_RESERVES: Final = 1_500_000_000
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}\Z")


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What commands may use, whether limits alone are enough where they cannot be shut in, and the program for JavaScript."""

    bounds: Bounds = field(default_factory=Bounds)
    unconfined: bool = False
    javascript: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """Effector of kind ``process``."""

    settings: ProcessSettings = field(default_factory=ProcessSettings)
    kind: str = field(default="process", init=False)
    idempotent: bool = field(default=False, init=False)
    can_look_up: bool = field(default=False, init=False)

    def act(self, effect: Effect) -> Receipt:
        """Run it to its end, or to the end of its time."""
        bounds = self.settings.bounds
        given = effect.payload.get("seconds")
        if isinstance(given, int | float) and 0 < given < bounds.seconds:
            bounds = replace(bounds, seconds=float(given))
        ended = confining.run(self._command(effect), bounds, unconfined=self.settings.unconfined)
        detail: dict[str, Json] = {"code": ended.code, "stdout": ended.stdout, "stderr": ended.stderr}
        if ended.stopped:
            detail["stopped"] = ended.stopped
        return Receipt("", detail)

    def look_up(self, effect: Effect) -> Receipt | None:
        """Not possible: a process that is gone cannot be asked."""
        raise EffectorError(f"a process cannot be asked whether effect {effect.id} happened; see what it was to do")

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        """As the payload declares."""
        return undo_of(self.kind, effect, receipt)

    def simulate(self, effect: Effect) -> Receipt:
        """What would be run: no text of it, since the proposal holds that."""
        command, payload = self._command(effect), effect.payload
        would: dict[str, Json] = {
            "run": payload.get("run"),
            "characters": len(_code(payload)),
            "arguments": len(_words(payload)),
            "environment": sorted(command.environment),
        }
        return Receipt("", {"would": would})

    def _command(self, effect: Effect) -> Command:
        """What the payload asks for; GiveUp where it asks for nothing that can be run."""
        payload = effect.payload
        code, words = _code(payload), _words(payload)
        environment, stdin = _environment(payload), _text(payload, "stdin", STDIN_MAX)
        if payload.get("run") == "shell":
            return Command(["/bin/sh", "-c", code, "sh", *words], 1, environment, stdin)
        language = LANGUAGES.get(str(payload.get("language", "")).lower())
        if language == "python":
            program = str(Path(sys.executable).resolve())
            return Command([program, "{given}/script", *words], 2, environment, stdin, code, show=[sys.base_prefix])
        if language == "js" and self.settings.javascript:
            program = str(Path(self.settings.javascript).resolve())
            heap = f"--max-old-space-size={max(16, self.settings.bounds.memory_bytes // 1_048_576)}"
            own, show = [program, heap, "{given}/script", *words], [str(Path(program).parent.parent)]
            return Command(own, 3, environment, stdin, code, _JS_RESERVES, show)
        if language == "js":
            raise GiveUp(
                "there is no node here for scripts in JavaScript; install it, or name it in [effectors.process]"
            )
        raise GiveUp(f"scripts in {str(payload.get('language'))[:40]!r} are not run; write python or js")


def _code(payload: Mapping[str, Json]) -> str:
    kind = payload.get("run")
    if kind not in ("shell", "script"):
        raise GiveUp("a process is run as shell or as script; correct the payload")
    name = "command" if kind == "shell" else "code"
    text = _text(payload, name, CODE_MAX)
    if not text.strip():
        raise GiveUp(f"a {kind} process names its {name}; correct the payload")
    return text


def _text(payload: Mapping[str, Json], name: str, most: int) -> str:
    value = payload.get(name)
    text = "" if value is None else value if isinstance(value, str) else canonical(value)
    if len(text) > most:
        raise GiveUp(f"the {name} of a process has {len(text):,} characters; keep to {most:,}")
    if "\x00" in text and name != "stdin":
        raise GiveUp(f"the {name} of a process holds a NUL character; take it out")
    return text


def _words(payload: Mapping[str, Json]) -> Sequence[str]:
    given = payload.get("arguments")
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > WORDS_MAX:
        raise GiveUp(f"the arguments of a process are a list of at most {WORDS_MAX} texts; correct the payload")
    return [_text({"argument": item}, "argument", WORD_MAX) for item in given]


def _environment(payload: Mapping[str, Json]) -> Mapping[str, str]:
    given = payload.get("environment")
    if given is None:
        return {}
    if not isinstance(given, Mapping) or len(given) > WORDS_MAX:
        raise GiveUp(f"the environment of a process is an object of at most {WORDS_MAX} names; correct the payload")
    wrong = next((name for name in given if not _NAME.match(name)), None)
    if wrong is not None:
        raise GiveUp(f"{wrong[:80]!r} cannot name a variable; use letters, digits and _")
    return {name: _text({name: value}, name, WORD_MAX) for name, value in given.items()}
