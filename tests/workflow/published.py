"""The published documents of the Open Workflow Specification, read where they stand, beside the repository."""

import re
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from coordination.workflow.source import read

SPECIFICATION = Path(__file__).parents[3] / "shared" / "standards" / "open-workflow"
_DEFINITION = re.compile(r'definition:\s*"""yaml\n(.*?)"""', re.DOTALL)
_SAMPLE = re.compile(r"```yaml\n(document:\s*\n  dsl.*?)```", re.DOTALL)
#: One sample of dsl.md is not YAML: a backslash in double quotes that YAML does not know.
BROKEN_SAMPLES = 1
#: Two of the published example files are empty.
EMPTY_EXAMPLES = 2


def need() -> None:
    """Skip, visibly, where the specification is not beside the repository."""
    if not SPECIFICATION.is_dir():
        pytest.skip("the Open Workflow Specification is not in ../shared/standards/open-workflow")


@cache
def schema() -> Any:
    """The official schema."""
    return read((SPECIFICATION / "workflow.schema.yaml").read_text("utf-8"), "schema").value


@cache
def examples() -> dict[str, str]:
    """The text of each example by file name, empty files too."""
    files = [path for path in sorted((SPECIFICATION / "examples").iterdir()) if path.suffix != ".md"]
    return {path.name: path.read_text("utf-8") for path in files}


@cache
def definitions() -> dict[str, str]:
    """Every other published document: those of the features, and the samples of the two texts."""
    found: dict[str, str] = {}
    for path in sorted((SPECIFICATION / "ctk").glob("*.feature")):
        for index, text in enumerate(_DEFINITION.findall(path.read_text("utf-8"))):
            found[f"{path.name}#{index}"] = textwrap.dedent(text)
    for name in ("dsl.md", "dsl-reference.md"):
        for index, text in enumerate(_SAMPLE.findall((SPECIFICATION / name).read_text("utf-8"))):
            found[f"{name}#{index}"] = text
    return found
