"""Runs the conformance features of the Open Workflow Specification, and our own in the same language, on every engine there is.

The specification's features are read where they stand, beside the repository; without them the suite says so and fails where
REQUIRE_SERVICES=1. The last line printed is `open-workflow: passed/total`, of the platform's engine.
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.workflow_engine import Engine
from tests.conformance.workflow_services import services
from tests.conformance.workflow_steps import Scenario, perform

_HERE = Path(__file__).parent
OWN = _HERE / "features"
KIT = _HERE.parents[2] / "shared" / "standards" / "open-workflow" / "ctk"
#: Engines by name: module and the callable in it that makes one; the last that is there is the platform's.
ENGINES = {
    "oracle": ("tests.conformance.workflow_engine", "Naive"),
    "durable": ("tests.conformance.workflow_durable", "Durable"),
}


@dataclass(frozen=True)
class Pickle:
    """One scenario: its feature file, its name and its steps with their blocks of text."""

    feature: str
    name: str
    steps: tuple[tuple[str, str | None], ...]

    def run(self, engine: Engine, route: Callable[[str], str]) -> None:
        """AssertionError where a step does not hold."""
        scenario = Scenario(engine)
        scenario.case.route = route
        for text, block in self.steps:
            perform(scenario, text, block)


def pickles(folder: Path) -> list[Pickle]:
    """Every scenario of the feature files of a folder, outlines and backgrounds written out."""
    from gherkin.parser import Parser
    from gherkin.pickles.compiler import Compiler

    found: list[Pickle] = []
    for path in sorted(folder.glob("*.feature")):
        document: Any = Parser().parse(path.read_text("utf-8"))
        document["uri"] = path.name
        for pickle in Compiler().compile(document):
            steps = tuple(
                (step["text"], step.get("argument", {}).get("docString", {}).get("content")) for step in pickle["steps"]
            )
            found.append(Pickle(path.stem, pickle["name"], steps))
    return found


def engines() -> Iterator[Engine]:
    """The engines that are there."""
    for module, name in ENGINES.values():
        if importlib.util.find_spec(module) is not None:
            yield getattr(importlib.import_module(module), name)()


def _run(engine: Engine, what: str, scenarios: list[Pickle], route: Callable[[str], str]) -> int:
    passed = 0
    for pickle in scenarios:
        try:
            pickle.run(engine, route)
        except Exception as problem:
            said = " ".join(str(problem).split()) or type(problem).__name__
            sys.stdout.write(f"  {engine.name}: {pickle.feature}: {pickle.name}: {said[:400]}\n")
        else:
            passed += 1
    sys.stdout.write(f"{what} on the {engine.name} engine: {passed}/{len(scenarios)}\n")
    return passed


def main() -> int:
    """Run all; 1 where a scenario fails."""
    kit, own = pickles(KIT), pickles(OWN)
    if not kit:
        sys.stdout.write("open-workflow: the specification's features are not beside the repository\n")
        return int(os.environ.get("REQUIRE_SERVICES") == "1")
    failed, last = 0, ""
    for engine in engines():
        with services() as route:
            passed = _run(engine, "the specification's features", kit, route)
            failed += len(kit) - passed + len(own) - _run(engine, "our own features", own, route)
            last = f"open-workflow: {passed}/{len(kit)}"
            last += " (on the oracle only)" if engine.name == "oracle" else ""
    sys.stdout.write(last + "\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
