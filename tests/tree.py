"""The repository as the house tests see it: its files, their text and their syntax trees, each read once."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("kg", "governance", "coordination", "agents", "api")
_HIDDEN = (".venv", ".git", ".noesis", "__pycache__", "build", "dist", "node_modules")


@cache
def files() -> tuple[Path, ...]:
    """Every file that is, or would be, committed, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [Path(name) for name in listed.stdout.splitlines()]
    else:
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*") if not set(path.parts) & set(_HIDDEN)]
    return tuple(sorted(name for name in names if (ROOT / name).is_file()))


@cache
def text(path: Path) -> str:
    """The file's text; bytes that are not UTF-8 become replacement characters."""
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


@cache
def tree(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(text(path), str(path))


def python(*tops: str) -> tuple[Path, ...]:
    """The Python files below these top folders (none: all)."""
    return tuple(path for path in files() if path.suffix == ".py" and (not tops or path.parts[0] in tops))


def module(path: Path) -> str:
    """The dotted name a file is imported by."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Top-level names imported anywhere in a file, inside functions too, with their lines."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name.split(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0], node.lineno
