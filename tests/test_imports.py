"""Nothing happens at import (no heavy vendor, file, socket, thread, child process, global broker); every adapter has its suite.

One fresh interpreter imports every module in turn under an audit hook, so that whatever a module does is charged to it.
"""

import importlib
import inspect
import json
import re
import subprocess
import sys
from types import ModuleType

import pytest

from tests.tree import PACKAGES, ROOT, module, python, text

#: Packages that cost a second or a gigabyte: only the function that needs one may load it.
HEAVY = (
    "dlt",
    "neo4j",
    "numpy",
    "openai",
    "opentelemetry",
    "pika",
    "prometheus_client",
    "psycopg",
    "pyarrow",
    "pydantic_ai",
    "qdrant_client",
    "qdrant_edge",
    "redis",
    "sentence_transformers",
    "sqlalchemy",
    "torch",
    "transformers",
)

_PROBE = """
import importlib, json, os, sys
root, heavy, modules = json.loads(sys.argv[1])
now, seen = ["start"], []
def watch(event, args):
    if now[0] == "start":
        return
    if event == "open":
        path, mode, _ = args
        if not isinstance(path, (str, bytes)):
            return
        path = os.path.abspath(os.fsdecode(path))
        writes = isinstance(mode, str) and set(mode) & set("wax+")
        data = path.startswith(root + os.sep) and os.sep + ".venv" + os.sep not in path
        if "__pycache__" not in path and (writes or data and not path.endswith((".py", ".pyc"))):
            seen.append([now[0], "opens " + path])
    elif event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.fork", "os.mkdir",
                   "os.rename", "os.remove", "sqlite3.connect", "_thread.start_new_thread", "os.putenv", "os.system"):
        seen.append([now[0], event])
sys.addaudithook(watch)
loaded = set()
for name in modules:
    now[0] = name
    try:
        importlib.import_module(name)
    except Exception as error:
        seen.append([name, "cannot be imported: " + repr(error)])
    fresh = {top for top in heavy if top in sys.modules} - loaded
    seen.extend([name, "loads " + top] for top in sorted(fresh))
    loaded |= fresh
broker = sys.modules.get("dramatiq.broker")
if broker is not None and broker.global_broker is not None:
    seen.append(["?", "sets the global broker"])
now[0] = "start"
print(json.dumps(seen))
"""


def modules() -> list[str]:
    return [module(path) for path in python(*PACKAGES, "examples") if path.stem != "__main__"]


def test_nothing_happens_at_import() -> None:
    probe = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", _PROBE, json.dumps([str(ROOT), HEAVY, modules()])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert probe.returncode == 0, probe.stderr[-2000:]
    assert json.loads(probe.stdout) == []


#: The ports, each with its module. A Protocol that is not here is named in `test_every_port_is_known`.
PORTS: dict[str, str] = {
    "Acting": "coordination.acting",
    "Clock": "kg.clock",
    "Effector": "coordination.effectors.effector",
    "Embedder": "kg.index",
    "Evidence": "kg.evidence",
    "GraphStore": "kg.store",
    "Model": "agents.models.model",
    "SemanticIndex": "kg.index",
    "Source": "kg.ingest.sources.row",
    "View": "kg.view",
}


def verbs(port: type) -> set[str]:
    """The names a port asks for: its methods and properties."""
    return {name for name in vars(port) if not name.startswith("_")} | set(inspect.get_annotations(port))


def adapters(port: type, found: list[ModuleType]) -> list[str]:
    """The classes of our packages that have every verb of a port."""
    asked = verbs(port)
    return sorted(
        {
            cls.__name__
            for part in found
            for _, cls in inspect.getmembers(part, inspect.isclass)
            if cls.__module__ == part.__name__
            and not getattr(cls, "_is_protocol", False)
            and asked <= set(dir(cls)) | set(inspect.get_annotations(cls))
        }
    )


@pytest.mark.parametrize("port", PORTS)
def test_every_adapter_is_in_a_contract_suite(port: str) -> None:
    declared = getattr(importlib.import_module(PORTS[port]), port)
    found = adapters(declared, [importlib.import_module(name) for name in modules() if name.split(".")[0] in PACKAGES])
    assert found, f"{port} has no adapter"
    contracts = [text(path) for path in python("tests") if path.parts[:2] == ("tests", "contracts")]
    suites = [suite for suite in contracts if re.search(rf"\b{port}\b", suite)]
    assert suites, f"no file of tests/contracts names {port}"
    missing = [name for name in found if not any(re.search(rf"\b{name}\b", suite) for suite in suites)]
    assert not missing, f"adapters of {port} that no suite holds to it"


def test_every_port_is_known() -> None:
    """Each public Protocol is a port with a suite, or one of those that are not: what a caller hands in, with one shape only."""
    plain = {
        *(
            "Agent",
            "Answering",
            "Authenticating",
            "Carrier",
            "Fetch",
            "Identify",
            "Kind",
            "Listener",
            "Meter",
            "Outbox",
        ),
        *("Particular", "Progress", "Routable", "Schema", "Span", "Store", "Task", "TextSource", "Viewing", "Words"),
    }
    declared = {
        cls.__name__
        for name in modules()
        if name.split(".")[0] in PACKAGES
        for _, cls in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if cls.__module__ == name and getattr(cls, "_is_protocol", False) and not cls.__name__.startswith("_")
    }
    assert declared == set(PORTS) | plain
