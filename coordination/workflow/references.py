"""Checks that every name leads somewhere: functions, catalogs, errors, retries, timeouts, policies, secrets, variables.

Invariant: looks into the document and the names handed in, nowhere else; nothing is fetched.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from coordination.workflow.checker import Site
from coordination.workflow.problems import Findings
from coordination.workflow.source import pointer
from coordination.workflow.tasks import PROTOCOLS
from coordination.workflow.walk import Entry, entries
from kg.values import Json

#: The functions of the platform: an agent acts or answers, people approve, an effect happens or is undone, the graph is read, bids
#: are allocated, registered Python runs.
PLATFORM_FUNCTIONS: Final = ("agent", "approve", "effect", "compensate", "query", "allocate", "function")
#: The arguments that the specification gives to expressions.
ARGUMENTS: Final = ("context", "input", "output", "secrets", "authorization", "task", "workflow", "runtime")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CATALOGED = re.compile(r"(?P<name>[^:@/]+):(?P<version>[^:@/]+)@(?P<catalog>[^:@/]+)\Z")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+\Z")
#: The kind of a text that names a component, and where components of that kind stand.
_COMPONENTS: Final = {
    "timeout": "timeouts",
    "error": "errors",
    "retry": "retries",
    "authentication": "authentications",
    "secret": "secrets",
}


def check(
    body: Mapping[str, Json], sites: Iterable[Site], findings: Findings, registered: Collection[str] | None = None
) -> None:
    """Note every name that leads nowhere; `registered` are the functions of `call: function`, None where they are not known."""
    for site in sites:
        kind = site.kind
        if kind in _COMPONENTS:
            _component(body, site, _COMPONENTS[kind], findings)
        elif kind == "function":
            _function(body, site, findings)
        elif kind == "variable":
            _variable(site, findings)
    for entry in entries(body):
        _loop(entry, findings)
        if registered is not None and entry.task.get("call") == "function":
            _registered(entry, registered, findings)
    _cycles(body, findings)


def _used(body: Mapping[str, Json], component: str) -> list[str]:
    use = body.get("use")
    found = use.get(component) if isinstance(use, dict) else None
    return [str(name) for name in found] if isinstance(found, dict | list) else []


def _nearest(text: str, names: Collection[str], otherwise: str) -> str:
    near = get_close_matches(text, names, 1)
    return f"did you mean `{near[0]}`?" if near else otherwise


def _component(body: Mapping[str, Json], site: Site, component: str, findings: Findings) -> None:
    names = _used(body, component)
    if site.text not in names:
        hint = _nearest(site.text, names, "define it there or correct the name")
        findings.add(site.pointer, f"`{site.text[:80]}` is not among `use.{component}`; {hint}")


def _function(body: Mapping[str, Json], site: Site, findings: Findings) -> None:
    name = site.text
    known = [*PLATFORM_FUNCTIONS, *_used(body, "functions")]
    if name in known or _ADDRESS.match(name):
        return
    if cataloged := _CATALOGED.match(name):
        catalogs = _used(body, "catalogs")
        if cataloged["catalog"] not in [*catalogs, "default"]:
            hint = _nearest(cataloged["catalog"], catalogs, "define it there")
            findings.add(site.pointer, f"the catalog `{cataloged['catalog'][:80]}` is not among `use.catalogs`; {hint}")
        return
    hint = _nearest(name, [*known, *PROTOCOLS], "define it in `use.functions` or call one of " + ", ".join(PROTOCOLS))
    findings.add(site.pointer, f"there is no function `{name[:80]}`; {hint}")


def _variable(site: Site, findings: Findings) -> None:
    if not _IDENTIFIER.match(site.text):
        findings.add(site.pointer, f"`{site.text[:80]}` cannot be a variable; use letters, digits and _ only")
    elif site.text in ARGUMENTS:
        findings.add(site.pointer, f"`{site.text}` is an argument of every expression; choose another name")


def _loop(entry: Entry, findings: Findings) -> None:
    """A loop whose item and index have one name would hide the one behind the other."""
    for field, item, default in (("for", "each", "item"), ("foreach", "item", "item")):
        said = entry.task.get(field)
        if isinstance(said, dict) and said.get(item, default) == said.get("at", "index"):
            findings.add(f"{entry.pointer}/{field}", "the item and its index have the same name; rename one")


def _registered(entry: Entry, registered: Collection[str], findings: Findings) -> None:
    arguments = entry.task.get("with")
    name = arguments.get("name") if isinstance(arguments, dict) else None
    if not isinstance(name, str):
        findings.add(f"{entry.pointer}/call", "`call: function` does not say which; write `with: {name: …}`")
    elif name not in registered and "${" not in name:
        hint = _nearest(name, registered, "register it under `functions` in noesis.toml")
        findings.add(f"{entry.pointer}/with/name", f"no function `{name[:80]}` is registered; {hint}")


def _cycles(body: Mapping[str, Json], findings: Findings) -> None:
    """A reusable function that calls itself, straight or through others, would never end."""
    calls: dict[str, set[str]] = {}
    for entry in entries(body):
        if entry.pointer.startswith("/use/functions/") and isinstance(called := entry.task.get("call"), str):
            owner = entry.pointer.split("/")[3].replace("~1", "/").replace("~0", "~")
            calls.setdefault(owner, set()).add(called)
    for name, called_by in calls.items():
        reached: set[str] = set()
        waiting = list(called_by)
        while waiting:
            at = waiting.pop()
            if at not in reached:
                reached.add(at)
                waiting += calls.get(at, ())
        if name in reached:
            findings.add(pointer("/use/functions", name), f"the function `{name[:80]}` calls itself; break the circle")
