"""Loads agent modules of a project: a Python file or a package folder that exposes `AGENTS`.

Invariant: nothing loads by itself; a module that cannot be used is one sentence naming the file and the fault. Loading runs
the project's own code, so only paths named by the operator's settings are given here.
"""

import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from agents.acting import Loaded
from agents.agent import Agent
from agents.errors import AgentError
from coordination.wakes import Wake
from kg.errors import NoesisError
from kg.ontology.ontology import Ontology

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
_PARTS = ("name", "version", "department", "capabilities", "wakes", "priority", "act")
_FITS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "name": lambda it: isinstance(it, str),
    "version": lambda it: isinstance(it, str),
    "department": lambda it: isinstance(it, str) and bool(it),
    "capabilities": lambda it: isinstance(it, tuple) and all(isinstance(part, str) for part in it),
    "wakes": lambda it: isinstance(it, tuple) and all(isinstance(part, Wake) for part in it),
    "priority": lambda it: type(it) is int,
    "act": callable,
}
#: What an agent may declare besides, for routing.
_SPARE: Final[Mapping[str, Callable[[Any], bool]]] = {
    "cost": lambda it: isinstance(it, int | Decimal) and 0 <= it < 10**9,
    "latency": lambda it: isinstance(it, int | float) and 0 <= it < 10**9,
    "exclusive": lambda it: isinstance(it, tuple) and all(isinstance(part, str) for part in it),
}


def load_agents(paths: Sequence[Path]) -> Mapping[str, Loaded]:
    """Every agent of these files and folders by name; two agents of one name are refused."""
    loaded: dict[str, Loaded] = {}
    for path in paths:
        module = load_module(path)
        digest = _digest(path)
        agents = getattr(module, "AGENTS", None)
        if not isinstance(agents, tuple) or not agents:
            raise AgentError(f"{path} has no AGENTS; define a tuple of agents under that name")
        for agent in agents:
            _check(agent, path)
            if agent.name in loaded:
                raise AgentError(f"{path}: two agents are called {agent.name!r}; rename one")
            loaded[agent.name] = Loaded(agent, digest)
    return loaded


def load_module(path: Path) -> ModuleType:
    """The module of a file or package folder of the project, loaded once a process."""
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file():
        raise AgentError(f"{path} is no Python file and no package folder; correct `agents` in noesis.toml")
    name = "noesis_agents_" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    known = sys.modules.get(name)
    if known is not None:
        return known
    locations = [str(path)] if path.is_dir() else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=locations)
    if spec is None or spec.loader is None:
        raise AgentError(f"{file} cannot be read as a Python module; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except NoesisError:
        sys.modules.pop(name, None)
        raise
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise AgentError(f"{file} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _digest(path: Path) -> str:
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode() + b"\x00" + file.read_bytes() + b"\x00")
    return total.hexdigest()


def _check(agent: Agent, path: Path) -> None:
    try:
        parts = {part: getattr(agent, part) for part in _PARTS if hasattr(agent, part)}
    except Exception as error:
        raise AgentError(f"{path}: {type(agent).__name__} cannot be read: {type(error).__name__}: {error}") from error
    missing = [part for part in _PARTS if part not in parts]
    if missing:
        raise AgentError(f"{path}: {type(agent).__name__} lacks {', '.join(missing)}; see agents/agent.py")
    wrong = [part for part, fits in _FITS.items() if not fits(parts[part])]
    if wrong:
        raise AgentError(
            f"{path}: {', '.join(wrong)} of {type(agent).__name__} is of another type than agents/agent.py says; correct it"
        )
    spare = [part for part, fits in _SPARE.items() if hasattr(agent, part) and not fits(getattr(agent, part))]
    if spare:
        raise AgentError(
            f"{path}: {', '.join(spare)} of {agent.name!r} cannot be; see what an agent may declare besides"
        )
    if not _NAME.match(agent.name):
        raise AgentError(f"{path}: {agent.name!r} is no agent name; use lower case letters, digits and hyphens")


def check_wakes(loaded: Mapping[str, Loaded], ontology: Ontology) -> None:
    """Raise AgentError where an agent wakes on a class that the ontology does not know: it would never be called."""
    for name, item in loaded.items():
        for wake in item.agent.wakes:
            if wake.cls not in ontology.classes:
                known = ", ".join(sorted(cls.name for cls in ontology.classes.values() if not cls.platform))
                raise AgentError(
                    f"agent {name} wakes on {wake.cls!r}, which the ontology does not know; use one of {known}"
                )
